"""Settings: ``sww.toml`` in the working directory, overridden by ``SWW_*`` in the environment, by options of commands.

A wrong setting stops the start with its name, its value and what is allowed.
"""

import difflib
import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from saywhatwant.addresses import is_loopback
from saywhatwant.errors import ExpectedError
from saywhatwant.limits import MAX_PRIORITY, MAX_TEXT_SETTING

FILE = "sww.toml"
PREFIX = "SWW_"
MIN_PUBLIC_TOKEN = 16
PUBLIC_POSTS_PER_MINUTE = 60
"""The default rate limit of a server that listens beyond loopback."""
PUBLIC_SOCKETS_PER_ADDRESS = 64
"""The default for such a server; an office or a school may have one address."""


class WrongSettings(ExpectedError):
    """One or more settings are wrong; the text has a line for each."""


class Settings(BaseSettings):
    """Everything that can be set. Each field is ``SWW_`` and its name in capitals in the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, toml_file=FILE, extra="forbid", frozen=True)

    bind: str = Field("127.0.0.1:8787", description="HOST:PORT to listen on; port 0 picks one")
    data: Path = Field(Path("data"), description="the directory of the data")
    bot_token: SecretStr | None = Field(None, description="printable ASCII characters, no spaces")
    lease_seconds: float = Field(60, ge=1, le=3_600, description="1 to 3600 seconds")
    max_hold_seconds: float = Field(3_600, ge=1, le=86_400, description="1 to 86400 seconds")
    max_attempts: int = Field(3, ge=1, le=100, description="1 to 100")
    backoff_seconds: float = Field(1, ge=0.001, le=300, description="0.001 to 300 seconds")
    retention: int = Field(200, ge=1, le=1_000_000, description="1 to 1000000 messages")
    backlog_limit: int = Field(10_000, ge=1, le=1_000_000, description="1 to 1000000 messages")
    max_wait_seconds: float = Field(86_400, ge=1, le=31_536_000, description="1 to 31536000 seconds")
    most_urgent_priority: int = Field(5, ge=0, le=MAX_PRIORITY, description=f"0 to {MAX_PRIORITY}")
    priority_aging_seconds: float = Field(10, ge=0.001, le=86_400, description="0.001 to 86400 seconds")
    max_text: int = Field(5_000, ge=1, le=MAX_TEXT_SETTING, description=f"1 to {MAX_TEXT_SETTING} characters")
    rate_limit: int | None = Field(
        None, ge=0, le=1_000_000, description="0 (off) to 1000000 posts per minute and client address"
    )  # fmt: skip
    trusted_proxies: str = Field("", description="addresses or networks of proxies, commas between")
    sockets_per_address: int | None = Field(
        None, ge=0, le=1_000_000, description="0 (no limit) to 1000000 WebSockets of one client address"
    )  # fmt: skip
    max_connections: int = Field(4_096, ge=1, le=1_000_000, description="1 to 1000000 connections")
    topology: Literal["single"] = Field("single", description="'single'")
    runtime: Literal["embedded"] = Field("embedded", description="'embedded'")
    cors_origins: Annotated[list[str], NoDecode] = Field([], description="origins like https://example.org, commas between")
    entities: Path | None = Field(None, description="a TOML file of entities; none is the package's own")
    open_entities: bool | None = Field(None, description="true or false: may posts name entities that nobody here knows")
    model_idle_seconds: float = Field(20, ge=0.1, le=600, description="0.1 to 600 seconds without a word from a model")
    model_seconds: float = Field(45, ge=0.1, le=3_600, description="0.1 to 3600 seconds for one answer of a model")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options before environment before file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("bind")
    @classmethod
    def _bind_is_host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isascii() or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - the last port
            raise ValueError("not HOST:PORT")
        return value

    @field_validator("bot_token")
    @classmethod
    def _token_fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        token = value.get_secret_value()
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ValueError("not fit for a header")
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            parts = urlsplit(origin)
            if origin != "*" and (not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}"):
                raise ValueError("not an origin")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_addresses(cls, value: str) -> str:
        for address in filter(None, value.split(",")):
            ipaddress.ip_network(address.strip())
        return value

    @model_validator(mode="after")
    def _no_open_door(self) -> Self:
        if not self.is_loopback and len(self.token or "") < MIN_PUBLIC_TOKEN:
            raise ValueError(
                f"to listen on {self.bind}, where others can reach it, set {PREFIX}BOT_TOKEN to {MIN_PUBLIC_TOKEN} characters "
                "or more: without it, or with one easy to guess, anybody could answer as an entity"
            )
        return self

    @property
    def host(self) -> str:
        """The host part of ``bind``."""
        return self.bind.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port part of ``bind``."""
        return int(self.bind.rpartition(":")[2])

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def token(self) -> str | None:
        """The bot token in clear."""
        return self.bot_token.get_secret_value() if self.bot_token else None

    @property
    def takes_unknown_entities(self) -> bool:
        """Whether posts may name entities that no file knows: as set, else only where there is no file."""
        return self.entities is None if self.open_entities is None else self.open_entities

    @property
    def posts_per_minute(self) -> int:
        """The rate limit: as set, else none on a laptop and a moderate one in public."""
        if self.rate_limit is None:
            return 0 if self.is_loopback else PUBLIC_POSTS_PER_MINUTE
        return self.rate_limit

    @property
    def max_sockets_per_address(self) -> int:
        """The limit of WebSockets: as set, else none on a laptop and a moderate one in public."""
        if self.sockets_per_address is None:
            return 0 if self.is_loopback else PUBLIC_SOCKETS_PER_ADDRESS
        return self.sockets_per_address


def load(**options: Any) -> Settings:  # noqa: ANN401 - as many types as there are options
    """The settings, with ``options`` before environment before file; raises ``WrongSettings``."""
    _check_environment()
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        raise WrongSettings("\n".join(_explain(detail) for detail in error.errors())) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongSettings(f"{FILE} is not TOML: {error}") from None


def _check_environment() -> None:
    for variable in os.environ:
        if variable.startswith(PREFIX) and variable.removeprefix(PREFIX).lower() not in Settings.model_fields:
            raise WrongSettings(_unknown(variable, [PREFIX + name.upper() for name in Settings.model_fields]))


def _unknown(name: str, allowed: list[str]) -> str:
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(allowed)}"
    return f"no such setting: {name}; {hint}"


def _explain(detail: ErrorDetails) -> str:
    if not detail["loc"]:
        return detail["msg"].removeprefix("Value error, ")
    name = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return _unknown(f"{name} (in {FILE})", list(Settings.model_fields))
    value = "(hidden)" if name == "bot_token" else repr(detail["input"])
    return f"{PREFIX}{name.upper()} is {value}; allowed: {Settings.model_fields[name].description}"
