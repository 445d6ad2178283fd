"""Requests and answers on one connection: uvicorn's, with a short way for an answer that is there in one piece."""

import asyncio
from collections.abc import Coroutine, Generator, Sized
from contextvars import Context, copy_context
from types import coroutine
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

LARGE_BYTES = 64 * 1024
"""A body from this size on is handed to the system as it is, instead of being copied behind its head."""
PAUSE_AT_PIPELINED = 16
"""With so many requests behind the one under way, a connection is not read any more (it is read in pieces of 256 KiB); so the
one under way does not hear either that its client has gone."""


class Exchange(RequestResponseCycle):
    """One request and its answer.

    By ASGI an answer is two messages, each awaited, checked and written on its own. ``answer`` is both in one plain call.
    """

    def answer(self, status: int, head: bytes, body: bytes | memoryview) -> bool:
        """Send a whole answer, or nothing: False where ASGI has to do it.

        ``head`` is the answer's own headers, ``Content-Length`` among them; nothing looks at them any more.
        """
        if self.transport.is_closing():
            self.disconnected = True
        if not self.keep_alive or self.disconnected or self.flow.write_paused or self.scope["method"] == "HEAD":
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        usual = [b"%b: %b\r\n" % header for header in self.default_headers]
        whole = (STATUS_LINE[status], *usual, head, b"\r\n", body)
        if len(body) < LARGE_BYTES:
            self.transport.write(b"".join(whole))
        else:
            self.transport.writelines((b"".join(whole[:-1]), body))
        self.message_event.set()
        self.on_response()
        return True


class Flow(FlowControl):
    """uvicorn's, which reads on after every answer and whenever an app asks for a body; here only while few requests wait."""

    def __init__(self, transport: asyncio.Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if len(self._pipeline) < PAUSE_AT_PIPELINED:
            super().resume_reading()


class ExchangeProtocol(HttpToolsProtocol):
    """A connection whose requests become exchanges.

    A read begins as a plain call and becomes a task only if it has to wait, as eager tasks do from Python 3.12 on. Until then
    there is no current task: no ``asyncio.timeout``, no anyio. A write that is taken has to wait, so it is a task at once. All
    pauses of a connection share one timer. Of uvicorn's settings, those that are off here (root path, concurrency limit, access
    log) are not looked at.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._under_way: RequestResponseCycle | None = None
        self._ending = False
        self._active_at = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport, self.pipeline)

    def connection_lost(self, exc: Exception | None) -> None:
        self._not_idle()
        if self._under_way is not None:
            self._under_way.disconnected = True
            self._under_way.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._active_at = self.loop.time()
        if not self._ending:
            super().data_received(data)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() and self._should_upgrade():
            super().on_headers_complete()  # which leaves all to handle_websocket_upgrade
            return
        self.cycle = self._exchange()
        if self.parser.should_upgrade():
            # To something else, which nobody here speaks; and the parser would take the body for the next request.
            self.cycle.keep_alive = False
            self._ending = True
        if self._busy:
            self.pipeline.appendleft((self.cycle, self.app))
            if len(self.pipeline) >= PAUSE_AT_PIPELINED:
                self.flow.pause_reading()
        else:
            self._start(self.cycle)

    def end_after_answers(self) -> bool:
        """Answer what has come whole, then close, and take in no more; False when nothing of that kind is under way.

        For when something is wrong behind it: a refusal would be taken for its answer.
        """
        while self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()
        last = self.pipeline[0][0] if self.pipeline else self._under_way
        if last is None or last.response_complete or last.more_body:
            return False
        last.keep_alive = False
        self._ending = True
        return True

    @property
    def _busy(self) -> bool:
        return self._under_way is not None and not self._under_way.response_complete

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

    def _start(self, exchange: RequestResponseCycle) -> None:
        self._under_way = exchange
        if exchange.scope["method"] == "GET":
            context = copy_context()
            self.loop.call_soon(self._begin, exchange, context, context=context)
        else:
            self._start_asgi_task(exchange, self.app)

    def _begin(self, exchange: RequestResponseCycle, context: Context) -> None:
        run = exchange.run_asgi(self.app)
        try:
            awaited = run.send(None)
        except StopIteration:
            return
        _set_awaited(awaited, to=False)
        task = self.loop.create_task(_go_on(run, awaited), context=context)
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self not in self.connections:  # but a WebSocket's by now
            return
        following = self.pipeline.pop()[0] if self.pipeline else None
        self.flow.resume_reading()
        if following is not None:
            self._start(following)
            return
        self._active_at = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_if_idle)

    def _look_if_idle(self) -> None:
        self._idle_timer = None
        if self._busy:
            return  # its answer sets the timer again
        left = self._active_at + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_later(left, self._look_if_idle)

    def _not_idle(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None


@coroutine
def _go_on(run: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:  # noqa: ANN401 - whatever it waits for
    """Go on with what has begun and now waits for ``awaited``."""
    _set_awaited(awaited, to=True)
    while True:
        try:
            step, value = run.send, (yield awaited)
        except BaseException as error:  # noqa: BLE001 - it is for what has begun to decide
            step, value = run.throw, error
        try:
            awaited = step(value)
        except StopIteration:
            return


def _set_awaited(awaited: Any, *, to: bool) -> None:  # noqa: ANN401 - a future, or None from a bare yield
    """Mark a future as handed to a task, or not yet: whoever else awaits it in between must not find it marked."""
    if awaited is not None:
        awaited._asyncio_future_blocking = to  # noqa: SLF001 - asyncio's protocol between futures and whatever drives coroutines
