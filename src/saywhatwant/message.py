"""The message: these structs are wire format, storage format and schema in one."""

import re
from functools import lru_cache
from hashlib import blake2b
from random import Random
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from saywhatwant.errors import InvalidField
from saywhatwant.limits import (
    ID_LENGTH,
    MAX_ATTEMPT,
    MAX_ENTITY,
    MAX_ID,
    MAX_PRIORITY,
    MAX_SESSION_ID,
    MAX_USERNAME,
    MAX_WORKER_ID,
    MIN_ID,
)

MessageType = Literal["human", "AI"]
Status = Literal["pending", "processing", "complete", "failed"]

ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
DEFAULT_PRIORITY = 50

# In Python "$" also matches before a line break at the end; the look-ahead rules that out in every dialect.
Id = Annotated[
    str, Meta(pattern=rf"^[a-z0-9]{{{MIN_ID},{MAX_ID}}}$(?!\n)", description=f"{MIN_ID} to {MAX_ID} characters of a-z and 0-9")
]
_COLOR = "([01][0-9][0-9]|2[0-4][0-9]|25[0-5]){3}"
_TAIL = "[A-Za-z0-9]{10}"
Color = Annotated[
    str,
    Meta(
        pattern=rf"^{_COLOR}$(?!\n)",
        description="nine digits RRRGGGBBB, each triple 000 to 255",
        examples=["169080199"],
    ),
]
TailedColor = Annotated[
    str,
    Meta(
        pattern=rf"^{_COLOR}(-{_TAIL})?$(?!\n)",
        description="nine digits RRRGGGBBB, each triple 000 to 255, then optionally - and ten of A-Z, a-z and 0-9",
        examples=["169080199", "169080199-Ab3dE5gH1j"],
    ),
]
"""A color as the original's clients send it; the tail tells people of one color apart."""
Alias = Annotated[
    str,
    Meta(
        pattern=rf"^(?!\s*:)[^:\x00-\x1f\x7f-\x9f\u2028\u2029]{{1,{MAX_USERNAME}}}:({_COLOR}(-{_TAIL})?|random)$(?!\n)",
        description="Name:RRRGGGBBB or Name:random",
        examples=["MyAI:255069000"],
    ),
]
"""The name and color that an answer appears under."""
SessionId = Annotated[
    str, Meta(pattern=rf"^[!-~]{{1,{MAX_SESSION_ID}}}$(?!\n)", description=f"1 to {MAX_SESSION_ID} printable ASCII characters")
]
Conversation = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$(?!\n)", description="16 hexadecimal digits")]
"""The talk of one person with one entity; see ``conversation_of``."""
Entity = Annotated[
    str, Meta(pattern=rf"^[a-z0-9-]{{1,{MAX_ENTITY}}}$(?!\n)", description=f"a plain name: 1 to {MAX_ENTITY} of a-z, 0-9 and -")
]
Priority = Annotated[int, Meta(ge=0, le=MAX_PRIORITY, description=f"0 (most urgent) to {MAX_PRIORITY}")]
Attempt = Annotated[int, Meta(ge=1, le=MAX_ATTEMPT, description="the number of the claim, 1 or more")]
WorkerId = Annotated[
    str, Meta(min_length=1, max_length=MAX_WORKER_ID, description=f"the worker's name, 1 to {MAX_WORKER_ID} characters")
]
POSITION = "the seq of the last frame seen, or the last ETag without its quotes"
_COMMIT = "[0-9]{1,9}_[0-9]{1,16}"
POSITION_PATTERN = rf"^([0-9]{{1,16}}|{_COMMIT}(-{_COMMIT}){{0,999}})$(?!\n)"
PositionText = Annotated[str, Meta(pattern=POSITION_PATTERN, description=POSITION)]
"""How far a reader has read; see ``topology.position``."""

# Tab and line breaks are allowed; other control characters could control a reader's terminal.
_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_CONTROLS_AND_BREAKS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
TEXT_PATTERN = rf"^\s*[^\s{_CONTROLS}]([^{_CONTROLS}]*[^\s{_CONTROLS}])?\s*$"
"""The text that ``clean_text`` accepts, for JSON Schema; the maximum length is a setting."""
CONTEXT_PATTERN = rf"^[^{_CONTROLS}]*$"
"""The strings that ``clean_context`` accepts, for JSON Schema."""
MAYBE_TEXT_PATTERN = rf"^\s*$|{TEXT_PATTERN}"
"""The same, or none."""
USERNAME_PATTERN = rf"^\s*[^\s{_CONTROLS_AND_BREAKS}]([^{_CONTROLS_AND_BREAKS}]*[^\s{_CONTROLS_AND_BREAKS}])?\s*$"
"""The usernames of any length that ``clean_username`` accepts, for JSON Schema."""

_HALF_CHARACTERS = r"\ud800-\udfff"
_CONTROL = re.compile(f"[{_CONTROLS}{_HALF_CHARACTERS}]")
_CONTROL_OR_BREAK = re.compile(f"[{_CONTROLS_AND_BREAKS}{_HALF_CHARACTERS}]")

_PATTERNED = (Id, Color, TailedColor, Alias, SessionId, Conversation, Entity, PositionText)
PATTERNS = {meta.pattern: meta.description for meta in (get_args(kind)[1] for kind in _PATTERNED)}
PATTERNS[CONTEXT_PATTERN] = "without NUL or other control characters (tab and line breaks are fine)"
"""Each pattern in words, for refusals."""


class BotParams(Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """A message as work: its state and its holder. Times are milliseconds since 1970."""

    status: Status
    priority: Priority = DEFAULT_PRIORITY
    entity: str | None = None
    claimed_by: str | None = None
    claimed_at: int | None = None
    completed_at: int | None = None
    attempt: int = 0
    """How many times it has been claimed; the fencing token."""
    tries: int = 0
    """The attempts that count towards the limit: none that was released, and an operator's retry sets this back to 0."""
    lease_expires_at: int | None = None
    retry_at: int | None = None
    """Set while it backs off after a failure: pending, but not claimable until then."""
    expires_at: int | None = None
    """Set while it is unfinished: when it fails unless a bot holds it then."""
    error: str | None = None
    """Why the last attempt ended without an answer."""
    answered_by: str | None = None
    """The id of its one AI answer."""
    answered_at: int | None = None
    """The timestamp of its one AI answer."""
    answer: Literal[False] | UnsetType = UNSET
    """False when the post asked for no answer: it was never work."""
    ais: str | UnsetType = UNSET
    """The name and color that the post asks to be answered under; it counts where the entity allows it."""
    session_id: str | UnsetType = UNSET
    """Tells apart the talks of one person with one entity."""
    assigned_entity: str | UnsetType = UNSET
    """The entity that answers a message which names none; set by the claim."""
    has_context: Literal[True] | UnsetType = UNSET
    """Whether the post brought its own memory, which is stored beside it while it is work."""
    unfenced: Literal[True] | UnsetType = UNSET
    """Whether the present claim came from a client that names no attempt (P3)."""
    socket: str | UnsetType = UNSET
    """The name of the bot's socket that the message was handed to, while it is held through it."""


class OriginalFields(Struct, frozen=True, kw_only=True, gc=False, rename="camel", omit_defaults=True):
    """Fields that only the original's clients send; kept and given back."""

    domain: str | None = None
    language: str | None = None
    misc: str | None = None
    model: str | None = None
    nom: str | None = None
    human_username: str | None = None
    human_color: str | None = None


class Message(Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """A message on the wall."""

    id: Id
    timestamp: int
    text: str
    username: str
    color: str
    message_type: MessageType
    reply_to: str | None
    bot_params: BotParams
    seq: int = 0
    """The commit of its object that last changed it."""
    conversation: str | UnsetType = UNSET
    """The talk that it belongs to; unset when it belongs to none, or to none yet."""
    color_tail: str | UnsetType = UNSET
    """Part of the identity of the original's clients; never shown."""
    original: OriginalFields | UnsetType = UNSET
    hidden: Literal[True] | UnsetType = UNSET
    """An operator has hidden it: its text is empty here."""
    erased: Literal[True] | UnsetType = UNSET
    """Its text is gone for good; such a message is hidden too."""


class Ruling(Struct, frozen=True, gc=False):
    """What a rule of the operator's says of a post."""

    action: Literal["hold", "refuse"]
    phrase: str = ""
    """The phrase that it is held for."""


class NewMessage(Struct, frozen=True, kw_only=True, gc=False):
    """A post, checked and trimmed."""

    text: str
    username: str
    color: str
    message_type: MessageType = "human"
    reply_to: str | None = None
    entity: str | None = None
    priority: int = DEFAULT_PRIORITY
    worker_id: str | None = None
    attempt: int | None = None
    id: str | None = None
    """The client's own; also its idempotency key."""
    answer: bool = True
    """Whether a human message is work."""
    ais: str | None = None
    session_id: str | None = None
    context: tuple[str, ...] | None = None
    """Replaces the talk as the memory for this one answer."""
    color_tail: str | None = None
    original: OriginalFields | None = None
    ruling: Ruling | None = None
    """None lets it onto the wall."""


class Posted(Struct, frozen=True, gc=False, omit_defaults=True):
    """The outcome of a post; ``repeated`` when an earlier post had made the message."""

    id: str
    timestamp: int
    repeated: bool = False
    held: bool = False
    """Whether it waits for review: there is no message yet, and ``timestamp`` is when it was posted."""


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Message).decode
decode_list = msgspec.json.Decoder(list[Message]).decode

_ID_CHARACTERS = bytes(ord(ID_ALPHABET[byte % len(ID_ALPHABET)]) for byte in range(256))
_DROPPED_BYTES = bytes(range(256 - 256 % len(ID_ALPHABET), 256))
"""Dropped, so that every character is equally likely."""
_DRAWN_BYTES = 2 * ID_LENGTH
"""Nearly always enough."""


def random_id(random: Random) -> str:
    """A random id; every id is equally likely."""
    while len(drawn := random.randbytes(_DRAWN_BYTES).translate(_ID_CHARACTERS, _DROPPED_BYTES)) < ID_LENGTH:
        pass
    return drawn[:ID_LENGTH].decode()


@lru_cache(maxsize=1_024)
def conversation_of(
    entity: str, username: str, color: str, color_tail: str | None = None, session_id: str | None = None
) -> str:
    """The name of the talk of one person with one entity. A person is a name, a color with its tail, and a session."""
    identity = "\0".join((entity, username, color, color_tail or "", session_id or ""))
    return blake2b(identity.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def split_color(color: str) -> tuple[str, str | UnsetType]:
    """The nine digits and the tail of a ``TailedColor``."""
    digits, _, tail = color.partition("-")
    return digits, tail or UNSET


def drop_controls(text: str) -> str:
    """``text`` without the characters that ``clean_text`` refuses."""
    return _CONTROL.sub("", text)


def without_controls(text: str) -> str:
    """``text`` without the characters that ``clean_text`` refuses, trimmed."""
    return drop_controls(text).strip()


def clean_text(text: str, max_chars: int, field: str = "text") -> str:
    """``text`` trimmed; raises ``InvalidField`` when it is empty, over ``max_chars``, or has control characters."""
    text = text.strip()
    if not 1 <= len(text) <= max_chars:
        raise InvalidField(field, f"must have 1 to {max_chars} characters after trimming; it has {len(text)}")
    if not text.isprintable() and _CONTROL.search(text):
        raise InvalidField(field, "must not contain NUL or other control characters (tab and line breaks are fine)")
    return text


def clean_context(context: list[str], max_bytes: int, field: str = "context") -> tuple[str, ...]:
    """``context`` unchanged; raises ``InvalidField`` when it is over ``max_bytes`` as JSON, or has control characters."""
    if any(not text.isprintable() and _CONTROL.search(text) for text in context):
        raise InvalidField(field, "must not contain NUL or other control characters (tab and line breaks are fine)")
    size = len(msgspec.json.encode(context))
    if size > max_bytes:
        raise InvalidField(field, f"must have at most {max_bytes} bytes as JSON in UTF-8; it has {size}")
    return tuple(context)


def clean_username(username: str, field: str = "username") -> str:
    """``username`` trimmed; raises ``InvalidField`` when it is empty, over 32 characters, or more than one line."""
    username = username.strip()
    if not 1 <= len(username) <= MAX_USERNAME:
        raise InvalidField(field, f"must have 1 to {MAX_USERNAME} characters after trimming; it has {len(username)}")
    if not username.isprintable() and _CONTROL_OR_BREAK.search(username):
        raise InvalidField(field, "must not contain control characters or line breaks")
    return username
