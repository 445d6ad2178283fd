"""The events that a queue publishes: JSON objects with a ``type``, as the wall's subscribers get them."""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from saywhatwant.message import MessageType, Status
from saywhatwant.schemas import ProgressState

_PROGRESS: Final = b'{"type":"progress"'
_WORK: Final = b'{"type":"work"'


def changed(encoded: bytes) -> bytes:
    """A message is new or has changed; ``encoded`` is used unchanged."""
    return b'{"type":"message","message":' + encoded + b"}"


def progress(message_id: str, attempt: int, text: str, state: ProgressState) -> bytes:
    """A reply is on its way; ``text`` is the whole reply so far, empty before its first word."""
    event = {"type": "progress", "id": message_id, "attempt": attempt, "text": text, "state": state}
    return msgspec.json.encode(event)


def work(ticket: str, since: int, message_id: str) -> bytes:
    """A waiting claim is woken for a message; ``ticket`` and ``since`` are those of ``waiting.Wait``. For gateways only."""
    return msgspec.json.encode({"type": "work", "id": message_id, "ticket": ticket, "since": since})


def is_work(event: bytes) -> bool:
    """Whether ``event`` is one of ``work``."""
    return event.startswith(_WORK)


def is_progress(event: bytes) -> bool:
    """Whether ``event`` is one of ``progress``."""
    return event.startswith(_PROGRESS)


class WorkState(Struct, frozen=True, rename="camel"):
    """The part of a message's ``botParams`` by which work is scheduled."""

    status: Status
    entity: str | None
    retry_at: int | None
    attempt: int
    assigned_entity: str | None = None
    session_id: str | None = None
    socket: str | None = None


class ChangedMessage(Struct, frozen=True, rename="camel"):
    """The part of a message that a worker uses."""

    id: str
    seq: int
    username: str
    color: str
    message_type: MessageType
    bot_params: WorkState
    color_tail: str | None = None

    @property
    def claimable(self) -> bool:
        """Whether a bot may claim it now."""
        return self.bot_params.status == "pending" and self.bot_params.retry_at is None


class Event(Struct, frozen=True):
    """A published event, decoded; ``type`` tells which of the fields it has.

    A changed message; a reply so far, with the id of what it answers; or work for a waiting claim.
    """

    type: Literal["message", "progress", "work"]
    message: ChangedMessage | None = None
    id: str = ""
    attempt: int = 0
    text: str = ""
    state: ProgressState = "writing"
    ticket: str = ""
    since: int = 0


parse = msgspec.json.Decoder(Event).decode
