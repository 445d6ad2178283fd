"""Settings: from ``sww.toml`` in the working directory, ``SWW_*`` in the environment, and options; later ones win.

A wrong setting stops the start; the error has its name, its value and what is allowed.
"""

import difflib
import ipaddress
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from saywhatwant.addresses import host_and_port, is_http_url, is_loopback
from saywhatwant.errors import ExpectedError
from saywhatwant.limits import MAX_CONTEXT_BYTES_SETTING, MAX_PRIORITY, MAX_TEXT_SETTING
from saywhatwant.tokens import FILE as TOKENS_FILE

FILE = "sww.toml"
PREFIX = "SWW_"
MIN_PUBLIC_TOKEN = 16
PUBLIC_POSTS_PER_MINUTE = 60
"""The default rate limit of a server that listens beyond loopback."""
PUBLIC_SOCKETS_PER_ADDRESS = 64
"""The default for such a server; an office or a school may have one address."""
PUBLIC_CONNECTIONS_PER_ADDRESS = 512
"""The default for such a server; a browser opens up to six."""
USUAL_ADMIN_URL = "http://127.0.0.1:9070"
"""Where a Restate server on this machine has its admin port by default."""

RuntimeName = Literal["embedded", "restate", "wire"]


class WrongSettings(ExpectedError):
    """One or more settings are wrong; the message has a line for each."""


class Secret:
    """A string whose ``repr`` hides it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return "Secret(hidden)"


class Settings(Struct, frozen=True, kw_only=True):
    """All settings. In the environment each field is named ``SWW_`` and its name in capitals."""

    bind: Annotated[str, Meta(description="HOST:PORT to listen on; port 0 picks one")] = "127.0.0.1:8787"
    data: Annotated[Path, Meta(description="the directory of the data")] = Path("data")
    bot_token: Annotated[Secret, Meta(description="printable ASCII characters, no spaces")] | None = None
    lease_seconds: Annotated[float, Meta(ge=1, le=3_600, description="1 to 3600 seconds")] = 60
    socket_lease_seconds: Annotated[float, Meta(ge=1, le=3_600, description="1 to 3600 seconds")] = 600
    max_hold_seconds: Annotated[float, Meta(ge=1, le=86_400, description="1 to 86400 seconds")] = 3_600
    max_attempts: Annotated[int, Meta(ge=1, le=100, description="1 to 100")] = 3
    backoff_seconds: Annotated[float, Meta(ge=0.001, le=300, description="0.001 to 300 seconds")] = 1
    retention: Annotated[int, Meta(ge=1, le=1_000_000, description="1 to 1000000 messages")] = 200
    talk_retention: Annotated[int, Meta(ge=0, le=10_000, description="0 to 10000 messages")] = 400
    talk_seconds: Annotated[float, Meta(ge=1, le=31_536_000, description="1 to 31536000 seconds")] = 604_800
    max_kept: Annotated[int, Meta(ge=1, le=1_000_000, description="1 to 1000000 messages")] = 50_000
    max_context_bytes: Annotated[
        int, Meta(ge=0, le=MAX_CONTEXT_BYTES_SETTING, description=f"0 to {MAX_CONTEXT_BYTES_SETTING} bytes")
    ] = MAX_CONTEXT_BYTES_SETTING
    backlog_limit: Annotated[int, Meta(ge=1, le=1_000_000, description="1 to 1000000 messages")] = 10_000
    max_wait_seconds: Annotated[float, Meta(ge=1, le=31_536_000, description="1 to 31536000 seconds")] = 86_400
    most_urgent_priority: Annotated[int, Meta(ge=0, le=MAX_PRIORITY, description=f"0 to {MAX_PRIORITY}")] = 5
    priority_aging_seconds: Annotated[float, Meta(ge=0.001, le=86_400, description="0.001 to 86400 seconds")] = 10
    max_text: Annotated[int, Meta(ge=1, le=MAX_TEXT_SETTING, description=f"1 to {MAX_TEXT_SETTING} characters")] = 5_000
    rate_limit: (
        Annotated[int, Meta(ge=0, le=1_000_000, description="0 (off) to 1000000 posts per minute and client address")] | None
    ) = None
    trusted_proxies: Annotated[str, Meta(description="addresses or networks of proxies, commas between")] = ""
    sockets_per_address: (
        Annotated[int, Meta(ge=0, le=1_000_000, description="0 (no limit) to 1000000 WebSockets of one client address")] | None
    ) = None
    max_connections: Annotated[int, Meta(ge=1, le=1_000_000, description="1 to 1000000 connections")] = 4_096
    connections_per_address: (
        Annotated[int, Meta(ge=0, le=1_000_000, description="0 (no limit) to 1000000 HTTP connections of one client address")]
        | None
    ) = None
    topology: Annotated[Literal["single", "per-entity", "hybrid"], Meta(description="'single', 'per-entity' or 'hybrid'")] = (
        "single"
    )
    runtime: Annotated[RuntimeName, Meta(description="'embedded', 'restate' or 'wire' (for tests)")] = "embedded"
    restate: Annotated[list[str], Meta(description="URLs of ingresses like http://127.0.0.1:8080, commas between")] = []
    restate_admin: Annotated[list[str], Meta(description="URLs of admin ports like http://127.0.0.1:9070, commas between")] = []
    restate_name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z][A-Za-z0-9\-]{0,63}\Z", description="1 to 64 letters, digits and hyphens, the first one a letter"
        ),
    ] = "wall"
    objects_bind: Annotated[str, Meta(description="HOST:PORT where objects listen for Restate; port 0 picks one")] = (
        "127.0.0.1:9080"
    )
    objects_url: (
        Annotated[str, Meta(description="a URL like http://10.0.0.5:9080 at which Restate reaches the objects")] | None
    ) = None
    cors_origins: Annotated[list[str], Meta(description="origins like https://example.org, commas between")] = []
    frame_ancestors: Annotated[list[str], Meta(description="origins like https://example.org, commas between; not *")] = []
    entities: Annotated[Path, Meta(description="a TOML file of entities; none is the package's own")] | None = None
    open_entities: Annotated[bool, Meta(description="true or false: may posts name entities that no file lists")] | None = None
    model_idle_seconds: Annotated[
        float, Meta(ge=0.1, le=600, description="0.1 to 600 seconds that a model may send nothing")
    ] = 20
    model_seconds: Annotated[float, Meta(ge=0.1, le=3_600, description="0.1 to 3600 seconds for one answer of a model")] = 45
    log_level: Annotated[Literal["debug", "info", "warning"], Meta(description="'debug', 'info' or 'warning'")] = "info"

    @property
    def host(self) -> str:
        """The host part of ``bind``."""
        return host_and_port(self.bind)[0]

    @property
    def port(self) -> int:
        """The port part of ``bind``."""
        return host_and_port(self.bind)[1]

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def has_one_gateway(self) -> bool:
        """Whether the objects end with their server, so that there is never another gateway."""
        return self.runtime not in {"restate", "wire"}

    @property
    def admin_urls(self) -> list[str]:
        """Where objects are registered."""
        return self.restate_admin or [USUAL_ADMIN_URL]

    @property
    def token(self) -> str | None:
        """The bot token in plain text."""
        return self.bot_token.text if self.bot_token else None

    @property
    def takes_unknown_entities(self) -> bool:
        """Whether posts may name entities that no file lists; by default only if no entities file is set."""
        return self.entities is None if self.open_entities is None else self.open_entities

    @property
    def posts_per_minute(self) -> int:
        """The rate limit; by default none on loopback, and a moderate one elsewhere."""
        if self.rate_limit is None:
            return 0 if self.is_loopback else PUBLIC_POSTS_PER_MINUTE
        return self.rate_limit

    @property
    def max_sockets_per_address(self) -> int:
        """The limit of WebSockets; by default none on loopback, and a moderate one elsewhere."""
        if self.sockets_per_address is None:
            return 0 if self.is_loopback else PUBLIC_SOCKETS_PER_ADDRESS
        return self.sockets_per_address

    @property
    def max_connections_per_address(self) -> int:
        """The limit of HTTP connections; by default none on loopback, and a moderate one elsewhere."""
        if self.connections_per_address is None:
            return 0 if self.is_loopback else PUBLIC_CONNECTIONS_PER_ADDRESS
        return self.connections_per_address


def load(**options: Any) -> Settings:  # noqa: ANN401 - as many types as there are options
    """The settings: ``options`` override the environment, which overrides the file. Raises ``WrongSettings``."""
    given = _from_file() | named(os.environ) | {name: value for name, value in options.items() if value is not None}
    return checked(given)


def named(variables: Mapping[str, object]) -> dict[str, object]:
    """Those of ``variables`` that are settings, by field; raises ``WrongSettings`` for one that begins so and is none."""
    found = {name.removeprefix(PREFIX).lower(): value for name, value in variables.items() if name.startswith(PREFIX)}
    for name in found:
        if name not in Settings.__struct_fields__:
            raise WrongSettings(_unknown(name))
    return found


def checked(given: Mapping[str, object]) -> Settings:
    """The settings with these fields, which may be text; the others have their defaults. Raises ``WrongSettings``."""
    errors: list[str] = []
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        if field.name in given:
            try:
                values[field.name] = _convert(field.name, field.type, given[field.name])
            except ValueError:  # so is msgspec.ValidationError
                value = "(hidden)" if field.name == "bot_token" else repr(given[field.name])
                errors.append(f"{PREFIX}{field.name.upper()} is {value}; allowed: {_description(field.type)}")
    if errors:
        raise WrongSettings("\n".join(errors))
    settings = Settings(**values)
    token = settings.token
    is_hard_to_guess = (settings.data / TOKENS_FILE).exists() if token is None else len(token) >= MIN_PUBLIC_TOKEN
    if not settings.is_loopback and not is_hard_to_guess:
        raise WrongSettings(
            f"to listen on {settings.bind}, where others can reach it, set {PREFIX}BOT_TOKEN to {MIN_PUBLIC_TOKEN} characters "
            f"or more, or make a token with sww token add --data {settings.data}: without one, or with one easy to guess, "
            "anybody could answer as an entity"
        )
    return settings


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables that give another process these settings."""
    values = {field: getattr(settings, field) for field in Settings.__struct_fields__}
    return {f"{PREFIX}{name.upper()}": _as_text(value) for name, value in values.items() if value is not None}


def _as_text(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list():
            return ",".join(value)
        case Secret():
            return value.text
        case Path():
            return str(value.absolute())
        case _:
            return str(value)


def _from_file() -> dict[str, object]:
    try:
        found = tomllib.loads(Path(FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:  # so are TOMLDecodeError and UnicodeDecodeError
        raise WrongSettings(f"{FILE} is not TOML: {error}") from None
    for name in found:
        if name not in Settings.__struct_fields__:
            raise WrongSettings(_unknown(name, f" (in {FILE})"))
    return found


def _unknown(name: str, where: str = "") -> str:
    """The refusal of a name without prefix; ``where`` is the file that has it, empty for the environment."""

    def shown(name: str) -> str:
        return name if where else PREFIX + name.upper()

    near = difflib.get_close_matches(name, Settings.__struct_fields__, n=1)
    hint = f"did you mean {shown(near[0])}?" if near else f"allowed: {', '.join(map(shown, Settings.__struct_fields__))}"
    return f"no such setting: {shown(name)}{where}; {hint}"


def _description(kind: Any) -> str:  # noqa: ANN401 - typing has no name for an annotated type
    """The values that a setting of this type may have."""
    annotated = next((part for part in get_args(kind) if get_origin(part) is Annotated), kind)
    return str(annotated.__metadata__[0].description)


def _convert(name: str, kind: Any, value: object) -> object:  # noqa: ANN401 - as above
    """The value in the setting's type; raises ``ValueError``."""
    if prepare := _PREPARE.get(name):
        value = prepare(value)
    # Strings from the environment become numbers.
    converted: object = msgspec.convert(value, kind, strict=False, dec_hook=lambda wanted, given: wanted(given))
    if isinstance(converted, float) and not math.isfinite(converted):
        raise ValueError("not a number")
    return converted


def _host_and_port(value: object) -> object:
    host, _, port = str(value).rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - the last port
        raise ValueError("not HOST:PORT")
    return value


def _token(value: object) -> object:
    token = value if isinstance(value, str) else "\n"
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("not fit for a header")
    return token or None


def _origins(value: object) -> object:
    origins = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    for origin in origins if isinstance(origins, list) else ():
        parts = urlsplit(origin)
        # Reading the port checks it.
        if origin != "*" and (not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}" or parts.port == 0):
            raise ValueError("not an origin")
    return origins


def _urls(value: object) -> object:
    urls = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if isinstance(urls, list):
        return [_url(url) for url in urls]
    return urls


def _url(value: object) -> str:
    url = str(value)
    if not is_http_url(url) or urlsplit(url).path not in {"", "/"} or urlsplit(url).query or urlsplit(url).fragment:
        raise ValueError("not the URL of a server")
    return url.rstrip("/")


def _frame_ancestors(value: object) -> object:
    origins = _origins(value)
    # They go into a header and into the page.
    if isinstance(origins, list) and not all(
        re.fullmatch(r"https?://[\w.\-\[\]:]+", str(origin), re.ASCII) for origin in origins
    ):
        raise ValueError("not an origin")
    return origins


def _proxies(value: object) -> object:
    for address in filter(None, str(value).split(",")):
        ipaddress.ip_network(address.strip())
    return value


_PREPARE: dict[str, Callable[[object], object]] = {
    "bind": _host_and_port,
    "bot_token": _token,
    "cors_origins": _origins,
    "frame_ancestors": _frame_ancestors,
    "objects_bind": _host_and_port,
    "objects_url": _url,
    "restate": _urls,
    "restate_admin": _urls,
    "trusted_proxies": _proxies,
}
"""Checks that types cannot express; each returns the value to convert, or raises ``ValueError``."""
