"""Who may open a WebSocket to read the wall, and how many each client has open."""

from collections import Counter
from collections.abc import Callable

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from saywhatwant.errors import RequestRefused, TooManyReaders
from saywhatwant.topology import Position
from saywhatwant.worker.decoders import Query, client_of
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.problems import problem
from saywhatwant.worker.queries import SocketQuery


class Admission:
    """Checks handshakes of GET /api/ws, and counts sockets.

    Args:
        check_page: raises ``RequestRefused`` for a page that may not read here.
        per_client: sockets that one client may have; 0 is no limit.
        metrics: counts handshakes and ends of sockets.
    """

    def __init__(self, *, check_page: Callable[[HTTPConnection], None], per_client: int, metrics: Metrics) -> None:
        self._check_page = check_page
        self._per_client = per_client
        self._metrics = metrics
        self._query = Query(SocketQuery)
        self.clients: Counter[str] = Counter()
        """How many sockets each client has; one that has none is not in it."""

    async def admit(self, socket: WebSocket) -> Position | None:
        """The position that the client has, if it may open the socket; else None: it has been refused."""
        try:
            self._check_page(socket)
            since = Position.parse(self._query.read(socket).since)
            if self._per_client and self.clients[client_of(socket)] >= self._per_client:
                raise TooManyReaders(f"{self._per_client} sockets of one address are already open; poll instead")
        except RequestRefused as error:
            refusal = problem(error)
            self._metrics.handshakes[refusal.status_code] += 1
            await socket.send_denial_response(refusal)
            return None
        self._metrics.handshakes[101] += 1
        return since

    def enter(self, client: str) -> None:
        """A socket of this client is open."""
        self.clients[client] += 1

    def leave(self, client: str, close_code: int | None) -> None:
        """It has ended, with the code that it was closed with here; None when the client left."""
        self.clients[client] -= 1
        if not self.clients[client]:
            del self.clients[client]
        self._metrics.closes["client" if close_code is None else str(close_code)] += 1
