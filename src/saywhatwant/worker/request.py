"""A request, as handlers get it."""

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope


class Request(HTTPConnection):
    """Starlette's connection, and ``receive``.

    Starlette's own request also has the state of a body that it reads. Here ``decoders`` read bodies, and each request is
    made in less than half the time.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        # As the base class does after a check of the scope's type, which the router has made.
        self.scope = scope
        self.receive = receive
