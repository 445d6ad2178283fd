"""The message: these structs are wire format, storage format and schema in one."""

import re
from random import Random
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from saywhatwant.errors import InvalidField
from saywhatwant.limits import ID_LENGTH, MAX_ATTEMPT, MAX_ENTITY, MAX_PRIORITY, MAX_USERNAME, MAX_WORKER_ID

MessageType = Literal["human", "AI"]
Status = Literal["pending", "processing", "complete", "failed"]

ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
DEFAULT_PRIORITY = 50

# In Python "$" also matches before a line break at the end; the look-ahead rules that out in every dialect.
Id = Annotated[str, Meta(pattern=rf"^[a-z0-9]{{{ID_LENGTH}}}$(?!\n)", description=f"{ID_LENGTH} characters of a-z and 0-9")]
Color = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9][0-9]|2[0-4][0-9]|25[0-5]){3}$(?!\n)",
        description="nine digits RRRGGGBBB, each triple 000 to 255",
        examples=["169080199"],
    ),
]
Entity = Annotated[
    str, Meta(pattern=rf"^[a-z0-9-]{{1,{MAX_ENTITY}}}$(?!\n)", description=f"a plain name: 1 to {MAX_ENTITY} of a-z, 0-9 and -")
]
Priority = Annotated[int, Meta(ge=0, le=MAX_PRIORITY, description=f"0 (most urgent) to {MAX_PRIORITY}")]
Attempt = Annotated[int, Meta(ge=1, le=MAX_ATTEMPT, description="the number of the claim, 1 or more")]
WorkerId = Annotated[
    str, Meta(min_length=1, max_length=MAX_WORKER_ID, description=f"the worker's name, 1 to {MAX_WORKER_ID} characters")
]

# Tab and line breaks are allowed; other control characters could control a reader's terminal.
_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_CONTROLS_AND_BREAKS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
TEXT_PATTERN = rf"^\s*[^\s{_CONTROLS}]([^{_CONTROLS}]*[^\s{_CONTROLS}])?\s*$"
"""The text that ``clean_text`` accepts, for JSON Schema; the maximum length is a setting."""
USERNAME_PATTERN = rf"^\s*[^\s{_CONTROLS_AND_BREAKS}]([^{_CONTROLS_AND_BREAKS}]*[^\s{_CONTROLS_AND_BREAKS}])?\s*$"
"""The usernames of any length that ``clean_username`` accepts, for JSON Schema."""

_HALF_CHARACTERS = r"\ud800-\udfff"
_CONTROL = re.compile(f"[{_CONTROLS}{_HALF_CHARACTERS}]")
_CONTROL_OR_BREAK = re.compile(f"[{_CONTROLS_AND_BREAKS}{_HALF_CHARACTERS}]")

PATTERNS = {meta.pattern: meta.description for meta in (get_args(kind)[1] for kind in (Id, Color, Entity))}
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
    """The attempts that count towards the limit; an operator's retry sets this back to 0."""
    lease_expires_at: int | None = None
    retry_at: int | None = None
    """Set while it backs off after a failure: pending, but not claimable until then."""
    expires_at: int | None = None
    """Set while it is pending: when it fails unless a bot claims it before."""
    error: str | None = None
    """Why the last attempt ended without an answer."""
    answered_by: str | None = None
    """The id of its one AI answer."""
    answered_at: int | None = None
    """The timestamp of its one AI answer."""


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


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Message).decode
decode_list = msgspec.json.Decoder(list[Message]).decode

_ID_CHARACTERS = bytes(ord(ID_ALPHABET[byte % len(ID_ALPHABET)]) for byte in range(256))
_DROPPED_BYTES = bytes(range(256 - 256 % len(ID_ALPHABET), 256))
"""Dropped, so that every character is equally likely."""


def random_id(random: Random) -> str:
    """A random id; every id is equally likely."""
    drawn = b""
    while len(drawn) < ID_LENGTH:
        drawn = random.randbytes(2 * ID_LENGTH).translate(_ID_CHARACTERS, _DROPPED_BYTES)
    return drawn[:ID_LENGTH].decode()


def without_controls(text: str) -> str:
    """``text`` without the characters that ``clean_text`` refuses, trimmed."""
    return _CONTROL.sub("", text).strip()


def clean_text(text: str, max_chars: int, field: str = "text") -> str:
    """``text`` trimmed; raises ``InvalidField`` when it is empty, over ``max_chars``, or has control characters."""
    text = text.strip()
    if not 1 <= len(text) <= max_chars:
        raise InvalidField(field, f"must have 1 to {max_chars} characters after trimming; it has {len(text)}")
    if not text.isprintable() and _CONTROL.search(text):
        raise InvalidField(field, "must not contain NUL or other control characters (tab and line breaks are fine)")
    return text


def clean_username(username: str, field: str = "username") -> str:
    """``username`` trimmed; raises ``InvalidField`` when it is empty, over 32 characters, or more than one line."""
    username = username.strip()
    if not 1 <= len(username) <= MAX_USERNAME:
        raise InvalidField(field, f"must have 1 to {MAX_USERNAME} characters after trimming; it has {len(username)}")
    if not username.isprintable() and _CONTROL_OR_BREAK.search(username):
        raise InvalidField(field, "must not contain control characters or line breaks")
    return username
