"""``GET /api/queue/ws`` on sockets that hibernate: a bot that waits for work costs nothing.

What a session must not forget is the attachment of its socket; the rest, what the bot waits for and holds, the wall has.
"""

from collections.abc import Callable
from itertools import chain

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from durable_objects import Meter
from saywhatwant.cloudflare.nesting import Nesting
from saywhatwant.cloudflare.sockets import HIBERNATE, TOO_BIG, Accept, OpenSockets, Socket
from saywhatwant.errors import MalformedBody
from saywhatwant.worker.auth import Auth
from saywhatwant.worker.bot_admission import BotAdmission
from saywhatwant.worker.bot_desk import BotDesk
from saywhatwant.worker.bot_session import BotSession
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.subscriber import POLICY_VIOLATION, SERVICE_RESTART

TAG = "bot"
"""The tag of these sockets."""


class BotSockets:
    """The endpoint, and the sessions of its sockets: what ``worker.app.MakeBotSockets`` makes.

    Args:
        desk: has the sessions.
        auth: knows who is a bot.
        max_frame_bytes: of one frame of a bot.
        metrics: count handshakes and ends.
        open_sockets: the sockets that are open.
    """

    def __init__(
        self,
        desk: BotDesk,
        *,
        auth: Auth,
        max_frame_bytes: int,
        metrics: Metrics,
        meter: Meter,  # noqa: ARG002 - who calls ``received`` counts its time
        open_sockets: OpenSockets,
    ) -> None:
        self._desk = desk
        self._admission = BotAdmission(desk, auth=auth, metrics=metrics)
        self._max_frame_bytes = max_frame_bytes
        self._open_sockets = open_sockets

    async def wake(self, ended: Socket | None = None) -> None:
        """Take over the sockets that were open before the object was loaded, before anything changes the wall.

        ``ended`` is one whose end has the object loaded: the platform may no longer count it as open. Raises as a call of the
        wall.
        """
        for socket in chain(self._open_sockets(TAG), [] if ended is None else [ended]):
            name, state = _attached(socket)
            if name in self._desk.sessions:
                continue
            if state:
                self._desk.restore(state, self._push(socket))
            else:
                _attach(socket, self._desk.open(self._push(socket)))
        if len(self._desk):
            await self._desk.queue_events.start()
        await self._desk.waiters.end_past_lives()  # else what comes next may go to one of those
        await self._desk.end_others()
        await self._desk.renew()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One handshake."""
        if await self._admission.admit(WebSocket(scope, receive, send)) is None:
            return
        accept: Accept = scope["extensions"][HIBERNATE]
        socket = accept(TAG)
        _attach(socket, self._desk.open(self._push(socket)))

    async def received(self, socket: Socket, text: str | None) -> None:
        """A bot has sent a frame, which is None if it is binary; returns once it is answered."""
        session = self._session_of(socket)
        if session is None:
            return
        if text is None or len(text) > self._max_frame_bytes:
            await self._end(session, POLICY_VIOLATION if text is None else TOO_BIG, socket)
            return
        try:
            Nesting().check(text.encode())
        except MalformedBody as error:
            session.refuse(error)
            return
        before = session.state
        await session.receive(text)
        if session.state != before and not session.has_ended():
            _attach(socket, session)

    async def closed(self, socket: Socket, code: int | None) -> None:
        """A bot's socket has ended, with the code that the bot closed it with."""
        session = self._session_of(socket)
        if session is not None:
            self._admission.leave(None)
            await session.end(give_back=code != SERVICE_RESTART)

    def _session_of(self, socket: Socket) -> BotSession | None:
        name, _ = _attached(socket)
        return self._desk.sessions.get(name)

    async def _end(self, session: BotSession, code: int, socket: Socket) -> None:
        socket.close(code)
        self._admission.leave(code)
        await session.end()

    def _push(self, socket: Socket) -> Callable[[str], None]:
        def push(frame: str) -> None:
            try:
                socket.send(frame)
            except ConnectionError:
                self._desk.spawn(self.closed(socket, None))

        return push


def _attach(socket: Socket, session: BotSession) -> None:
    """Keep with a socket its session's name, and its state, which is empty until the bot has said ``hello``."""
    socket.attach(f"{session.socket} {session.state.decode()}")


def _attached(socket: Socket) -> tuple[str, bytes]:
    """The name and the state."""
    name, _, state = socket.attachment().partition(" ")
    return name, state.encode()
