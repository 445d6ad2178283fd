"""WebSocket connections: uvicorn's protocol, bounded in memory and time for clients that do not read."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from saywhatwant.worker import limits
from saywhatwant.worker.extensions import ABORT, ROOM
from saywhatwant.worker.subscriber import SERVICE_RESTART


class LimitedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket within ``limits``; see ``ABORT`` and ``ROOM``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._pong = b""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.handshake_complete:
            extensions: dict[str, object] = self.scope["extensions"]  # type: ignore[assignment] # our own are no dicts
            extensions[ABORT] = self.transport.abort
            extensions[ROOM] = self._make_room

    def _make_room(self, max_bytes: int) -> None:
        self.conn.max_message_size = max_bytes

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        elif frames := self.conn.data_to_send():
            # A client that does not read gets only the pong for its last ping, once it reads (RFC 6455, 5.5.3).
            self._pong = frames[-1]

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._pong:
            self.transport.write(self._pong)
            self._pong = b""

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) < limits.MAX_FRAGMENTS:
            super().handle_cont(event)
        else:
            self.transport.abort()

    def shutdown(self) -> None:
        """Ask the client to come back (1012), and read its last frames meanwhile, so that what was sent is not lost.

        The server calls this until the connection has left; a handshake ends first.
        """
        if self.close_sent or self.transport.is_closing() or not self.handshake_complete:
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": SERVICE_RESTART})
        self.conn.send_close(SERVICE_RESTART)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(limits.FAREWELL_SECONDS, self.transport.close)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()
