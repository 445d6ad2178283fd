"""What the adapter needs of Cloudflare, as plain Python: ``border`` has it on workerd, the tests over CPython's own SQLite."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

Value = int | bytes
"""What a statement may bind. An integer binds as a float, so that it has 53 bits."""


class Result(NamedTuple):
    """What one statement returned, and the rows that it is billed for."""

    rows: Sequence[tuple[Any, ...]]
    rows_read: int
    rows_written: int


class Storage(Protocol):
    """``ctx.storage`` of a Durable Object with SQLite.

    Cloudflare holds back all that leaves the object until its writes are durable. So nothing here waits for a disk: when a
    write fails later, Cloudflare resets the object, and nobody has had an answer.
    """

    def exec(self, statement: str, *bindings: Value) -> Result:
        """Run one SQL statement, with up to 100 bindings; a value has less than 2 MB."""

    def transaction(self, closure: Callable[[], None]) -> None:
        """Run ``closure``, all of whose statements count or none; raises what it raises."""

    def set_alarm(self, at: int) -> None:
        """Set the one alarm of the object, in milliseconds since 1970; it costs a row written."""

    async def get_alarm(self) -> int | None:
        """When the alarm is due; None while its handler runs, or when there is none."""


class Socket(Protocol):
    """The object's end of a WebSocket that Cloudflare holds while the object hibernates."""

    def send(self, data: bytes) -> None:
        """Send a frame; never waits. Raises ``ConnectionError`` when the socket has ended."""

    def close(self, code: int) -> None:
        """Close it; harmless when it has ended."""

    def attach(self, data: bytes) -> None:
        """Keep up to 2 KB with the socket, in place of what was kept before."""

    def attachment(self) -> bytes:
        """What is kept."""


class Binding(Protocol):
    """A class of Durable Objects in ``env``, each of which hosts one of our objects; see ``object``."""

    async def call(self, name: str, request: bytes) -> bytes:
        """Call ``call`` of the object with this name; raises ``OutcomeUnknown`` when no answer comes."""

    async def listen(
        self, name: str, request: bytes, receive: Callable[[bytes], None], ended: Callable[[], None]
    ) -> Callable[[], None]:
        """Open a WebSocket to the object, with an encoded ``sockets.Listen``; returns what closes it.

        Args:
            name: of the object.
            request: what is sent with the handshake.
            receive: called with each frame.
            ended: called when the socket has ended.

        Raises ``OutcomeUnknown`` when it cannot be opened.
        """
