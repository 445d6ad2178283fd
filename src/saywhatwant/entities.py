"""The entities: who answers, as what, and with which model. From a TOML file, read again when it changes."""

import logging
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from saywhatwant.message import DEFAULT_PRIORITY, MAX_USERNAME, Color, Priority

log = logging.getLogger("saywhatwant")

_NAME = re.compile(r"[a-z0-9-]{1,64}")


class Entity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An AI character."""

    display_name: Annotated[str, Meta(min_length=1, max_length=MAX_USERNAME)]
    color: Color
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    """``nltk:NAME`` for a chatbot of NLTK, else the name of a model that speaks the OpenAI chat protocol."""
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    system_prompt: Annotated[str, Meta(max_length=20_000)] = ""
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.8
    max_tokens: Annotated[int, Meta(ge=1, le=8_192)] = 200
    priority: Priority = DEFAULT_PRIORITY
    """Of messages to it that name none."""
    context: Annotated[int, Meta(ge=0, le=100)] = 0
    """Earlier messages of the wall that it reads."""
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 1
    """Messages it answers at once."""


class WrongEntities(Exception):
    """The entities file is wrong; the text says where."""


class Entities:
    """The entities of one file (the package's own, when none is given), as they were when it was last right.

    With ``model`` (and ``base_url``) all of them use that instead of their own. Raises ``WrongEntities`` when the file is
    wrong at the start.
    """

    def __init__(self, path: Path | None = None, *, model: str | None = None, base_url: str | None = None) -> None:
        self._path = path or Path(str(files("saywhatwant") / "entities.toml"))
        self._instead = {key: value for key, value in (("model", model), ("base_url", base_url)) if value is not None}
        self._stamp: object = None
        self._told = ""
        self.current: dict[str, Entity] = {}
        self._load()

    def refresh(self) -> None:
        """Read the file again if it has changed. One that is wrong now is told in the log, and the old set stays."""
        try:
            self._load()
        except WrongEntities as error:
            if str(error) != self._told:
                log.error("the entities stay as they were: %s", error)  # noqa: TRY400 - the sentence says it all
            self._told = str(error)

    def _load(self) -> None:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp == self._stamp:
                return
            self._stamp = stamp
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise WrongEntities(f"{self._path} can not be read: {error}") from None
        entities = parse(text, str(self._path))
        self.current = {name: replace(entity, **self._instead) for name, entity in entities.items()}


def parse(text: str, source: str) -> dict[str, Entity]:
    """The entities in a TOML text; raises ``WrongEntities`` with line and key."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongEntities(f"{source}: {error}") from None
    entities = {}
    for name, table in tables.items():
        where = _line_of(text, name)
        if not _NAME.fullmatch(name):
            raise WrongEntities(f"{source}, line {where}: [{name}] must be a plain name: 1 to 64 of a-z, 0-9 and -")
        try:
            entities[name] = msgspec.convert(table, Entity)
        except msgspec.ValidationError as error:
            rule, _, path = str(error).partition(" - at `$.")
            key = path.rstrip("`") or next(iter(re.findall(r"field `([^`]*)`", rule)), "")
            raise WrongEntities(f"{source}, line {_line_of(text, name, key)}: {name}.{key}: {rule}") from None
    if not entities:
        raise WrongEntities(f"{source}: there is no entity in it")
    return entities


def _line_of(text: str, name: str, key: str = "") -> int:
    """The line of a table, or of a key in it where it stands there."""
    lines = text.splitlines()
    table = next((n for n, line in enumerate(lines, 1) if re.match(rf"\s*\[\s*[\"']?{re.escape(name)}\b", line)), 1)
    for number, line in enumerate(lines[table:], table + 1):
        if line.lstrip().startswith("["):
            break
        if key and re.match(rf"\s*[\"']?{re.escape(key)}\b", line):
            return number
    return table
