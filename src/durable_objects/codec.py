"""Values as bytes, and back."""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


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
