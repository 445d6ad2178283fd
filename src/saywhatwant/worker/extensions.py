"""Extensions of an ASGI scope with which a server offers the app more than ASGI has; the app works without them."""

from collections.abc import Callable

from starlette.types import Send

ABORT = "saywhatwant.abort"
"""A socket's: a function that aborts its connection, dropping unsent data."""

ROOM = "saywhatwant.room"
"""A socket's: a function of the bytes that its client's messages may have from now on."""

WHOLE = "saywhatwant.whole"
"""A request's: a ``SendWhole``."""

SendWhole = Callable[[Send, int, bytes, bytes | memoryview], bool]
"""Sends status, header lines (``Content-Length`` among them) and body in one plain call; False if it cannot do that now."""
