"""In front of a server that waits for other processes: only the probes are answered, and say what it waits for."""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from saywhatwant.errors import NotReady
from saywhatwant.worker.problems import problem

ALIVE = "/healthz"
"""The path of the probe that is answered though the gate is closed."""


class Gate:
    """An app that refuses every request with ``not-ready`` until ``open`` is called, except whether the process is alive.

    Args:
        app: the app behind it.
        waits_for: what the server waits for, for people.
    """

    def __init__(self, app: ASGIApp, waits_for: Callable[[], str]) -> None:
        self._app = app
        self._waits_for = waits_for
        self._is_open = False

    def open(self) -> None:
        """Let all requests through from now on."""
        self._is_open = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_open or (scope["type"] == "http" and scope["path"] == ALIVE):
            await self._app(scope, receive, send)
            return
        refusal = problem(NotReady(f"waiting for the cluster: {self._waits_for()}"))
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await refusal(scope, receive, send)
