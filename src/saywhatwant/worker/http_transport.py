"""The transport and flow control of an HTTP connection."""

import asyncio
from collections.abc import Callable, Sized

from uvicorn.protocols.http.flow_control import FlowControl

from saywhatwant.worker import limits


class BoundedFlow(FlowControl):
    """uvicorn's flow control, which continues reading only while few requests wait."""

    def __init__(self, transport: asyncio.Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if self.read_paused and len(self._pipeline) < limits.MAX_PIPELINED:
            super().resume_reading()


class Output(asyncio.Transport):
    """The transport that uvicorn uses; ``close`` calls the protocol instead."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        super().__init__()
        self.transport = transport
        self.half_closed = False
        self._close = close
        # Methods that every request needs are the transport's own, to save a call.
        self.write = transport.write  # type: ignore[method-assign]
        self.writelines = transport.writelines  # type: ignore[method-assign]
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.abort = transport.abort  # type: ignore[method-assign]
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]
        self.get_write_buffer_size = transport.get_write_buffer_size  # type: ignore[method-assign]

    def close(self) -> None:
        if not self.is_closing():
            self._close()

    def release(self) -> None:
        """Drop the reference to the protocol, which is then freed without the garbage collector."""
        self._close = _nothing

    def half_close(self) -> None:
        """Send the written bytes and the end of the stream, drop later writes, and keep reading."""
        self.half_closed = True
        self.write = self.writelines = _drop  # type: ignore[method-assign, assignment]
        self.is_closing = lambda: True  # type: ignore[method-assign]
        self.transport.write_eof()
        self.transport.resume_reading()


def _nothing() -> None:
    pass


def _drop(data: object) -> None:
    pass
