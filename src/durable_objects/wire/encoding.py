"""What crosses the wire, as structs that are encoded and decoded on each side."""

from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from durable_objects.contract import Events, ObjectId
from durable_objects.disk import Change, Head
from durable_objects.errors import ErrorRecord

T = TypeVar("T")


class Call(Struct, tag=True, frozen=True):
    """A call on its way to its object."""

    to: ObjectId
    method: str
    arguments: Raw
    key: str | None = None
    fingerprint: bytes | None = None


class Settle(Struct, tag=True, frozen=True):
    """A question: have other objects taken everything that this one has sent so far?"""

    to: ObjectId


class Answer(Struct, frozen=True):
    """What a call returned, or its error."""

    result: Raw = Raw(b"null")
    error: ErrorRecord | None = None
    repeated: bool = False
    """Whether it is the answer of an earlier call with the same key."""


class EndOfEvents(Struct, tag=True, frozen=True):
    """No more events will come, because of this."""

    error: ErrorRecord


class SentEvents(Struct, tag=True, frozen=True):
    """The events of one call, or signals."""

    events: Events


class Codec:
    """Bytes of one type, and back: MessagePack for what holds bytes, JSON for what holds the JSON of a ``methods.Method``."""

    def __init__(self, kind: Any, *, json: bool = False) -> None:  # noqa: ANN401 - typing has no name for a union of types
        self._decoder: Any = msgspec.json.Decoder(kind) if json else msgspec.msgpack.Decoder(kind)
        self._encoder: Any = msgspec.json.Encoder() if json else msgspec.msgpack.Encoder()

    def through(self, value: T) -> T:
        """A value equal to ``value``, of which nothing else is the same."""
        decoded: T = self.decode(self.encode(value))
        return decoded

    def encode(self, value: object) -> bytes:
        """The bytes."""
        encoded: bytes = self._encoder.encode(value)
        return encoded

    def decode(self, encoded: bytes) -> Any:  # noqa: ANN401 - the codec's type
        """The value; raises ``msgspec.ValidationError``."""
        return self._decoder.decode(encoded)


REQUEST = Codec(Call | Settle, json=True)
ANSWER = Codec(Answer, json=True)
EVENTS = Codec(SentEvents | EndOfEvents)
CHANGES = Codec(list[Change])
ENTRIES = Codec(list[tuple[str, bytes]])
ENTRY = Codec(bytes | None)
HEAD = Codec(Head)
ALARMS = Codec(list[tuple[str, int]])
