"""What the bots' sockets of one server share: who holds what, and whom the wall's events concern."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec

from durable_objects import DurableObjectError
from saywhatwant.queue import events
from saywhatwant.schemas import Conflict
from saywhatwant.topology import Wall
from saywhatwant.worker.bot_calls import BotCalls
from saywhatwant.worker.bot_session import BotSession, Push, SessionState
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.limits import LEAVE_SECONDS, RETRIES, RETRY_SECONDS
from saywhatwant.worker.queue_events import QueueEvent, QueueEvents

_state_of = msgspec.json.Decoder(SessionState).decode


class BotDesk:
    """The sessions of one server.

    Args:
        wall: where bots stand, or where sessions claim.
        calls: what bots call.
        waiters: claims that wait, and the bots that the server knows.
        queue_events: bring what is handed over.
        hands_over: whether the objects hand messages over, where they can; else sessions claim. Not where a server may end
            without the objects: what was handed to it would wait until it is missed, and a claim of it is missed sooner.
        sockets_last: whether sockets outlive the memory of this server, as hibernating ones do. When it starts it restores the
            sessions of those that are still open, then calls ``end_others``.
    """

    def __init__(
        self,
        wall: Wall,
        calls: BotCalls,
        waiters: ClaimWaiters,
        queue_events: QueueEvents,
        *,
        hands_over: bool = True,
        sockets_last: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.standing = wall.standing if hands_over else None
        self.calls = calls
        self.waiters = waiters
        self.queue_events = queue_events
        self.gateway, self.life = waiters.gateway, 0 if sockets_last else waiters.life
        self.sleep = sleep
        self.sessions: dict[str, BotSession] = {}
        self.holders: dict[str, BotSession] = {}
        """The session of each message that a bot here holds."""
        self._tasks: set[asyncio.Task[None]] = set()
        queue_events.subscribe(self.on_event)
        queue_events.on_lost(self._on_lost)
        if not sockets_last:  # else the objects are here, no event gets lost, and a timer would keep them awake
            waiters.offer_elsewhere = self._offer

    def __len__(self) -> int:
        return len(self.sessions)

    def open(self, push: Push) -> BotSession:
        """A new socket; ``push`` takes its frames."""
        session = BotSession(self, secrets.token_hex(8), push)
        self.sessions[session.socket] = session
        return session

    def restore(self, state: bytes, push: Push) -> BotSession:
        """A socket that was open before this server lost its memory, by its ``state``."""
        known = _state_of(state)
        session = BotSession(self, known.socket, push)
        session.resume(known)
        self.sessions[session.socket] = session
        self.come(session)
        return session

    async def end_others(self) -> None:
        """End what stands at the object without a session here: its socket ended while this server was away.

        A session that does not stand there has let a lease run out, so its bot must say something first. Most
        likely this server died, so the bot is expected back, for as long as an ordinary lease.
        """
        if self.standing is not None:
            stands = await self.standing.sockets()
            for session in self.sessions.values():
                if session.worker_id is not None and session.socket not in stands:
                    session.hangs()
            gone = [socket for socket in stands if socket not in self.sessions]
            await asyncio.gather(*[self.leave(socket, give_back=False) for socket in gone])

    async def begin(self) -> None:
        """The server has just started: nothing may be handed to the bots of its former life."""
        with suppress(DurableObjectError):  # a server whose disk is full starts too; leases end then
            await self.end_others()

    async def renew(self) -> None:
        """All bots stand again, since hand-overs may have been missed."""
        for session in list(self.sessions.values()):
            await session.renew()

    def on_event(self, event: QueueEvent) -> None:
        """Pass on what concerns a bot here."""
        if not self.sessions or events.is_work(event.raw) or (message := event.decoded.message) is None:
            return
        params = message.bot_params
        holder = self.holders.get(message.id)
        if holder is not None and _is_over(holder.held[message.id], params):
            if params.status == "complete":
                holder.drop(message.id)
            else:
                holder.lost(message.id)
        if params.socket is not None and (session := self.sessions.get(params.socket)) is not None:
            session.handed(message.id, params.attempt, event.raw)

    # -- For sessions

    def come(self, session: BotSession) -> list[Conflict]:
        """A bot has come, or has other hands; returns the bots that answer for its entities with other personas."""
        hands, worker_id = session.hands, session.worker_id or ""
        entities = () if hands.entities is None and not hands.hands else hands.entities
        return self.waiters.bots.stands(session.socket, worker_id, entities, hands.personas, hands.version)

    def go(self, session: BotSession) -> None:
        """A socket has ended."""
        self.sessions.pop(session.socket, None)
        self.waiters.bots.leaves_socket(session.socket)

    async def leave(self, socket: str, *, give_back: bool) -> None:
        """Tell the object that a socket has ended: else it hands work to a bot that is gone.

        If the object cannot know within a few tries, such as while the disk is full, this returns, and further tries follow
        until one succeeds or the server ends. Not where sockets outlive this server, which calls ``end_others`` when it wakes.
        """
        for number in range(RETRIES):
            if await self._has_left(socket, give_back=give_back):
                return
            await self.sleep(RETRY_SECONDS * 2**number)
        if self.life:
            self.spawn(self._leave_at_last(socket, give_back=give_back))

    async def _leave_at_last(self, socket: str, *, give_back: bool) -> None:
        while not await self._has_left(socket, give_back=give_back):
            await self.sleep(LEAVE_SECONDS)

    async def _has_left(self, socket: str, *, give_back: bool) -> bool:
        assert self.standing is not None  # noqa: S101
        try:
            await self.standing.leave(socket, give_back=give_back)
        except DurableObjectError:
            return False
        return True

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it beside."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_lost(self) -> None:
        if self.sessions:
            self.spawn(self.renew())

    def _offer(self, _: str, entity: str | None) -> bool:
        """A message that nobody has taken: a bot with a hand free for it stands again, and gets it. False if there is none."""
        wanting = next((session for session in self.sessions.values() if session.worker_id and session.wants(entity)), None)
        if wanting is not None and self.standing is not None:
            self.spawn(wanting.renew())
        return wanting is not None


def _is_over(attempt: int, now: events.WorkState) -> bool:
    """Whether this attempt has ended. An event may come later than the answer that has told of the attempt."""
    return now.attempt > attempt or (now.attempt == attempt and now.status != "processing")
