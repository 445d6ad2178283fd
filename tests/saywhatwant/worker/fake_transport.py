"""A connection without a network: what is written stays in its buffer until a test drains it."""

import asyncio
from typing import Any

HIGH_WATER_BYTES = 64 * 1024
"""From here on a protocol is asked to pause writing, as by asyncio's and uvloop's transports."""


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 50_000)})
        self.buffer = bytearray()
        self.most_buffered = 0
        self.half_closed = self.closed = self.aborted = False
        self._paused = False
        self._protocol: Any = None

    def connect(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def release(self) -> None:
        """Forget the protocol, as transports do once the connection is lost."""
        self._protocol = None

    def write(self, data: Any) -> None:
        self.buffer += data
        self.most_buffered = max(self.most_buffered, len(self.buffer))
        if len(self.buffer) > HIGH_WATER_BYTES and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def drain(self) -> bytes:
        """Have the client read all that was written."""
        drained = bytes(self.buffer)
        self.buffer.clear()
        if self._paused:
            self._paused = False
            self._protocol.resume_writing()
        return drained

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def write_eof(self) -> None:
        self.half_closed = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass
