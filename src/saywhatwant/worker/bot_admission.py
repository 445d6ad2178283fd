"""Who may open a WebSocket to answer messages."""

from starlette.websockets import WebSocket

from saywhatwant.errors import RequestRefused, TooManyWaiting
from saywhatwant.worker.auth import Auth, Caller
from saywhatwant.worker.bot_desk import BotDesk
from saywhatwant.worker.decoders import NO_PARAMETERS
from saywhatwant.worker.limits import MAX_WAITING_CLAIMS
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.problems import problem


class BotAdmission:
    """Checks handshakes of GET /api/queue/ws, and counts them.

    Args:
        desk: has the sockets that are open.
        auth: knows who is a bot.
        metrics: counts handshakes and ends of sockets.
    """

    def __init__(self, desk: BotDesk, *, auth: Auth, metrics: Metrics) -> None:
        self._desk = desk
        self._auth = auth
        self._metrics = metrics

    async def admit(self, socket: WebSocket) -> Caller | None:
        """The bot, if it may open the socket; else None: it has been refused."""
        try:
            caller = self._auth.bot(socket)
            NO_PARAMETERS.read(socket)
            self._check_room()
        except (RequestRefused, TooManyWaiting) as error:
            refusal = problem(error)
            self._metrics.handshakes[refusal.status_code] += 1
            await socket.send_denial_response(refusal)
            return None
        self._metrics.handshakes[101] += 1
        return caller

    def leave(self, close_code: int | None) -> None:
        """A socket has ended, with the code that it was closed with here; None when the bot left."""
        self._metrics.closes["client" if close_code is None else str(close_code)] += 1

    def _check_room(self) -> None:
        if len(self._desk) >= MAX_WAITING_CLAIMS:
            raise TooManyWaiting(f"{MAX_WAITING_CLAIMS} bots' sockets are already open")
