"""The entities that answer, with their names and models. Read from a TOML file, and read again when it changes."""

import json
import logging
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from saywhatwant import named_tables
from saywhatwant.addresses import is_http_url
from saywhatwant.errors import InvalidField
from saywhatwant.limits import MAX_TALK_TURNS, MAX_USERNAME
from saywhatwant.message import DEFAULT_PRIORITY, Color, Priority, clean_username
from saywhatwant.named_tables import ChangingFile, WrongFile

log = logging.getLogger("saywhatwant")

NLTK = "nltk:"
"""Prefix of a chatbot's name in the key ``model``."""
CHATBOTS = ("eliza", "iesha", "rude", "suntsu", "zen")
"""The chatbots of NLTK, listed here because NLTK is slow to import."""

Url = Annotated[str, Meta(max_length=500)]
Line = Annotated[str, Meta(min_length=1, max_length=200)]

_NOT_PERSONA = {"base_url", "api_key_env", "priority", "concurrency", "loading_seconds", "warm_up"}
"""The keys that do not shape an answer."""
NOT_EXTRA = {"model", "messages", "stream"}
"""Parameters of a request that ``extra_body`` cannot replace."""


class Entity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An AI character. Raises ``InvalidField`` for a rule that its types cannot express."""

    display_name: Annotated[str, Meta(min_length=1, max_length=MAX_USERNAME)]
    color: Color
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    """``nltk:NAME`` for a chatbot of NLTK, else the name of a model that speaks the OpenAI chat protocol."""
    base_url: Url | Annotated[list[Url], Meta(min_length=1, max_length=16)] | None = None
    """Where the model is; of several, the healthy ones are called in turn."""
    api_key_env: str = "OPENAI_API_KEY"
    system_prompt: Annotated[str, Meta(max_length=20_000)] = ""
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.8
    max_tokens: Annotated[int, Meta(ge=1, le=8_192)] = 200
    priority: Priority = DEFAULT_PRIORITY
    """The priority of its messages that name none."""
    about: Annotated[str, Meta(max_length=200)] = ""
    """What it is, in a line, for visitors."""
    openers: Annotated[list[Line], Meta(max_length=3)] = []
    """First questions that a bare wall offers."""
    context: Annotated[int, Meta(ge=0, le=MAX_TALK_TURNS)] = 400
    """How many earlier messages it reads, as far as its model's window has room."""
    reads: Literal["talk", "wall"] = "talk"
    """Whether they are those of its talk with this person, or those of everybody."""
    context_tokens: Annotated[int, Meta(ge=64, le=10_000_000)] | None = None
    """The model's window, prompt and answer together; None learns it from the server."""
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=16)] = []
    """An answer ends before the first of these, with or without the server's help."""
    extra_body: dict[str, Any] = {}
    """Sent with each request as it is, for parameters that this file does not know."""
    loading_seconds: Annotated[float, Meta(ge=1, le=3_600)] = 180
    """How long a model that has not answered lately may take until it sends something."""
    warm_up: bool = False
    """Whether the bot asks the model for a word when it starts, so that it is loaded."""
    alias: bool = False
    """Whether a post may choose the name and color that it answers under."""
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 1
    """How many messages it answers at once."""

    def __post_init__(self) -> None:
        if clean_username(self.display_name, "display_name") != self.display_name:
            raise InvalidField("display_name", "must not start or end with whitespace")
        if self.chatbot is not None and self.chatbot not in CHATBOTS:
            raise InvalidField("model", f"no such chatbot: {self.chatbot!r}; must be one of {', '.join(CHATBOTS)}")
        if fixed := sorted(NOT_EXTRA & self.extra_body.keys()):
            raise InvalidField("extra_body", f"must not contain {fixed[0]!r}, which the bot sets itself")
        if not all(map(is_http_url, self.base_urls)):
            # Do not echo the URL; it may contain a password.
            raise InvalidField("base_url", "must be an http or https URL with a host, and a port from 1 to 65535")
        try:
            json.dumps(self.extra_body, allow_nan=False)
        except (TypeError, ValueError):
            raise InvalidField("extra_body", "must have only JSON values: no dates, inf or nan") from None

    @property
    def base_urls(self) -> tuple[str, ...]:
        """The model's addresses; empty is the library's default."""
        if self.base_url is None:
            return ()
        return (self.base_url,) if isinstance(self.base_url, str) else tuple(self.base_url)

    @property
    def persona_digest(self) -> str:
        """A digest of everything that shapes its answers: 16 hexadecimal digits."""
        persona = {key: value for key, value in msgspec.structs.asdict(self).items() if key not in _NOT_PERSONA}
        return blake2b(msgspec.json.encode(persona, order="sorted"), digest_size=8).hexdigest()

    @property
    def chatbot(self) -> str | None:
        """The name of its chatbot; None when it has a model."""
        return self.model.removeprefix(NLTK) if self.model.startswith(NLTK) else None


class WrongEntities(WrongFile):
    """The entities file is invalid."""


class Entities:
    """The entities of one file (by default the one that ships), as of its last valid version.

    With ``model`` (and ``base_url``) all of them use that model instead of their own. Raises ``WrongEntities`` when the file or
    that model is not valid.
    """

    def __init__(self, path: Path | None = None, *, model: str | None = None, base_url: str | None = None) -> None:
        self._file = ChangingFile(path or Path(str(files("saywhatwant") / "entities.toml")), WrongEntities)
        self._instead = {key: value for key, value in (("model", model), ("base_url", base_url)) if value is not None}
        self._logged = ""
        self.current: dict[str, Entity] = {}
        self._load()

    def refresh(self) -> None:
        """Read the file again if it has changed. While it is invalid the entities stay, and the error is logged once."""
        try:
            self._load()
        except WrongEntities as error:
            if str(error) != self._logged:
                log.error("the entities stay as they were: %s", error)  # noqa: TRY400 - the message is complete
            self._logged = str(error)

    def _load(self) -> None:
        text = self._file.changed_text()
        if text is None:
            return
        entities = parse(text, str(self._file.path))
        try:
            self.current = {name: replace(entity, **self._instead) for name, entity in entities.items()}
        except InvalidField as error:
            raise WrongEntities(f"{error.field} for all entities: {error.rule}") from None
        self._logged = ""


@lru_cache(maxsize=1)  # a platform may make the worker again and again, in the same process
def parse(text: str, source: str) -> Mapping[str, Entity]:
    """The entities in a TOML text; raises ``WrongEntities`` with line and key."""
    entities = named_tables.parse(text, source, Entity, WrongEntities)
    if not entities:
        raise WrongEntities(f"{source}: must contain an entity")
    return entities
