"""Requests and answers on one connection: uvicorn's, with a short way for an answer that is there in one piece."""

import asyncio
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

LARGE_BYTES = 64 * 1024
"""A body from this size on is handed to the system as it is, instead of being copied behind its head."""


class Exchange(RequestResponseCycle):
    """One request and its answer.

    By ASGI an answer is two messages, each awaited, checked and written on its own. ``answer`` is both in one plain call.
    """

    def answer(self, status: int, head: bytes, body: bytes | memoryview) -> bool:
        """Send a whole answer, or nothing: False where ASGI has to do it.

        ``head`` is the answer's own headers, ``Content-Length`` among them; nothing looks at them any more.
        """
        if not self.keep_alive or self.disconnected or self.flow.write_paused or self.scope["method"] == "HEAD":
            return False
        self.response_started = self.response_complete = True
        usual = [b"%b: %b\r\n" % header for header in self.default_headers]
        whole = (STATUS_LINE[status], *usual, head, b"\r\n", body)
        if len(body) < LARGE_BYTES:
            self.transport.write(b"".join(whole))
        else:
            self.transport.writelines((b"".join(whole[:-1]), body))
        self.message_event.set()
        self.on_response()
        return True


class ExchangeProtocol(HttpToolsProtocol):
    """A connection whose requests become exchanges, with one timer for all its pauses instead of one for each."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._idle_since: float | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._not_idle()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._idle_since = None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            super().on_headers_complete()
            return
        before: RequestResponseCycle | None = self.cycle
        self.cycle = self._exchange()
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _exchange(self) -> Exchange:
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        version = self.parser.get_http_version()
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        return Exchange(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_if_idle)

    def _look_if_idle(self) -> None:
        self._idle_timer = None
        if self._idle_since is None:
            return  # the next answer sets the timer again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_later(left, self._look_if_idle)

    def _not_idle(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
