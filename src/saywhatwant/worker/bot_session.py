"""One bot's socket: frames in, frames out. It has no stream, no timer, and no task while it is idle.

So it serves any kind of WebSocket: who has it calls ``receive`` with each text that comes, sends what ``push`` gets, and calls
``end`` once. A server whose sockets outlive its memory keeps ``state`` with the socket, and calls ``BotDesk.restore``.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from durable_objects import DurableObjectError, Refusal
from saywhatwant import frames, schemas
from saywhatwant.errors import InvalidField, RequestRefused
from saywhatwant.queue.events import ChangedMessage
from saywhatwant.queue.standing import Hold, Stand
from saywhatwant.worker.bot_frames import decoded, id_of
from saywhatwant.worker.limits import MAX_FRAME_LINES, RETRIES, RETRY_SECONDS
from saywhatwant.worker.problems import problem_of
from saywhatwant.worker.socket_claims import claim_forever, goes_on, release

if TYPE_CHECKING:
    from saywhatwant.worker.bot_desk import BotDesk

log = logging.getLogger("saywhatwant")

Push = Callable[[str], None]
"""Takes one frame to send; never waits."""

_encode = msgspec.json.Encoder().encode
_CallFrame = frames.CompleteFrame | frames.ExtendFrame | frames.FailFrame | frames.ReleaseFrame | frames.ProgressFrame

MAX_STATE_BYTES = 1_500
"""Bytes of a session's state: it fits into what platforms keep with a socket."""


class SessionState(Struct, frozen=True):
    """What a session is made of again."""

    socket: str
    worker_id: str
    hands: frames.HandsFrame
    whole: bool = True
    """Whether ``hands`` has the entities; else the object knows them."""


class BotSession:
    """See the module. Made by ``BotDesk.open``.

    Attributes:
        socket: its name, which messages show while they are held through it.
        worker_id: the bot's, once it has said ``hello``.
        held: the messages that the bot has, with their attempts.
        changed: set when the bot has other hands, or has left: a claim that waits for it is out of date.
    """

    def __init__(self, desk: "BotDesk", socket: str, push: Push) -> None:
        self._desk = desk
        self._send = push
        self.socket = socket
        self.worker_id: str | None = None
        self.held: dict[str, int] = {}
        self._entities: dict[str, str | None] = {}
        """Those of the messages in ``held``, where this session claims."""
        self._hands = frames.HandsFrame(hands=0)
        self._whole = True
        """Whether ``_hands`` has its entities."""
        self._greeting = False
        self._early: list[tuple[str, int]] | None = []
        """What was handed over before the welcome; None after it."""
        self._ending: set[tuple[str, int]] = set()
        """The attempts that a running call of the bot ends."""
        self._ended = False
        self._is_silent = False
        """It has lost a message, and has not said anything since: perhaps it hangs."""
        self.changed = asyncio.Event()

    @property
    def state(self) -> bytes:
        """What ``BotDesk.restore`` takes, as JSON of up to ``MAX_STATE_BYTES``; empty before ``hello``."""
        if self.worker_id is None:
            return b""
        state = SessionState(self.socket, self.worker_id, self._hands, self._whole)
        if len(_encode(state)) > MAX_STATE_BYTES:  # then other bots' personas are not compared with its own
            state = replace(state, hands=replace(state.hands, personas={}))
        if len(_encode(state)) > MAX_STATE_BYTES:
            state = replace(state, hands=replace(state.hands, entities=None), whole=False)
        return _encode(state)

    def resume(self, state: SessionState) -> None:
        """Go on as the session that had this state."""
        self.worker_id, self._hands, self._whole, self._early = state.worker_id, state.hands, state.whole, None

    # -- Frames of the bot

    async def receive(self, text: str) -> None:
        """Take a text frame; returns once all of its lines are answered. Nothing in it is an error here."""
        if self._is_silent:
            self._is_silent = False
            self._desk.spawn(self.renew())
        if text == frames.PING:
            self._send(frames.PONG)
            return
        lines = text.split("\n")
        if len(lines) == 1:
            await self._take(text)
        elif len(lines) > MAX_FRAME_LINES:
            self.refuse(InvalidField("frame", f"must have at most {MAX_FRAME_LINES} lines"))
        else:
            await asyncio.gather(*map(self._take, lines))

    async def _take(self, line: str) -> None:
        frame_id: frames.FrameId | None = None
        try:
            frame = decoded(line)
            frame_id = None if frame.id is UNSET else frame.id
            await self._handle(frame)
        except (RequestRefused, DurableObjectError) as error:
            self.refuse(error, frame_id if frame_id is not None else id_of(line))
        except Exception as error:  # noqa: BLE001 - after any error the bot gets a problem
            self.refuse(error, frame_id)

    async def _handle(self, frame: frames.BotFrame) -> None:
        if isinstance(frame, frames.HelloFrame):
            await self._greet(frame)
            return
        if self.worker_id is None:
            raise InvalidField("type", "must be hello in the first frame of a socket")
        conflicts: list[schemas.Conflict] = []
        if isinstance(frame, frames.HandsFrame):
            self._hands, self._whole = frame, True
            conflicts = await self._stand()
            result: object = schemas.Ok()
        else:
            result = await self._call(frame, self.worker_id)
        if frame.id is not UNSET:
            self._push(frames.Done(frame.id, result, conflicts=conflicts))

    async def _call(self, frame: _CallFrame, worker_id: str) -> object:
        calls, fence = self._desk.calls, (frame.message_id, worker_id, frame.attempt)
        match frame:
            case frames.ProgressFrame():
                return await calls.progress(schemas.ProgressRequest(*fence, frame.text, frame.state))
            case frames.ExtendFrame():
                return await calls.extend(schemas.ExtendRequest(*fence))
            case frames.CompleteFrame():
                return await self._ending_by(frame, calls.complete(schemas.CompleteRequest(*fence, frame.reply)))
            case frames.FailFrame():
                request = schemas.FailRequest(*fence, frame.error, frame.retry, frame.detail)
                return await self._ending_by(frame, calls.fail(request))
            case frames.ReleaseFrame():
                return await self._ending_by(frame, calls.release(schemas.ReleaseRequest(*fence)))

    async def _ending_by(self, frame: _CallFrame, call: Coroutine[Any, Any, object]) -> object:
        """The answer of a call that ends an attempt: the event of that end, which may come before, is no news to the bot."""
        ending = (frame.message_id, frame.attempt)
        self._ending.add(ending)
        try:
            result = await call
        finally:
            self._ending.discard(ending)
        if self.held.get(frame.message_id) == frame.attempt:
            self.drop(frame.message_id)
        return result

    async def _greet(self, frame: frames.HelloFrame) -> None:
        if self._greeting or self.worker_id is not None:
            raise InvalidField("type", "must not be hello again: it is the first frame of a socket")
        self._greeting = True
        try:
            self._hands = frames.HandsFrame(
                hands=frame.hands,
                entities=frame.entities,
                context=frame.context,
                personas=frame.personas,
                version=frame.version,
            )
            await self._desk.queue_events.start()
            wanted = {hold.message_id: hold.attempt for hold in frame.holds}
            if self._desk.standing is None:
                now = [Hold(*hold) for hold in wanted.items() if await goes_on(self._desk, frame.worker_id, *hold)]
            else:
                holds = tuple(Hold(*hold) for hold in wanted.items())
                now = await self._desk.standing.stand(self._as_stand(frame.worker_id), holds, frame.resumes)
        finally:
            self._greeting = False
        if self._ended:  # while it came, and nobody knew of what it got
            if self._desk.standing is not None:
                await self._desk.leave(self.socket, give_back=True)
            return
        self.worker_id = frame.worker_id
        conflicts = self._desk.come(self)
        told = [frames.Hold(hold.message_id, hold.attempt) for hold in now if hold.message_id in wanted]
        for hold in told:
            if wanted[hold.message_id] == hold.attempt:
                self._hold(hold.message_id, hold.attempt)
        self._push(frames.Welcome(self.socket, told, id=frame.id, conflicts=conflicts))
        early, self._early = self._early or [], None
        for message_id, attempt in [*((hold.message_id, hold.attempt) for hold in now), *early]:
            self.handed(message_id, attempt)
        if self._desk.standing is None:
            self._desk.spawn(claim_forever(self._desk, self))

    def refuse(self, error: Exception, frame_id: frames.FrameId | None = None) -> None:
        """Answer a frame with a problem."""
        self._push(frames.Refused(problem_of(error), id=UNSET if frame_id is None else frame_id))

    def _push(self, frame: Struct) -> None:
        self._send(_encode(frame).decode())

    # -- Work

    @property
    def personas(self) -> dict[str, str]:
        """The digests of its personas, by entity."""
        return self._hands.personas

    @property
    def hands(self) -> frames.HandsFrame:
        """The frame with its hands."""
        return self._hands

    def wants(self, entity: str | None) -> bool:
        """Whether it has a hand free for a message to this entity, as far as it knows."""
        free = self.free()
        return free is None or bool(free if entity is None else entity in free)

    def handed(self, message_id: str, attempt: int, event: bytes | None = None) -> None:
        """A message was handed over to this socket, as an event of its change shows; repeated, it does nothing."""
        if self._early is not None:
            self._early.append((message_id, attempt))
        elif self.held.get(message_id, 0) < attempt and (message_id, attempt) not in self._ending:
            self._hold(message_id, attempt)
            if event is not None and not self._hands.context:
                self._send(event.decode())  # the event is the frame
            else:
                self._desk.spawn(self._push_work(message_id, attempt))

    def lost(self, message_id: str) -> None:
        """The bot does not hold this message any more, and did not end that itself."""
        attempt = self.held[message_id]
        self.drop(message_id)
        if (message_id, attempt) not in self._ending:
            self._is_silent = True
            self._push(frames.Lost(message_id, attempt))

    def hangs(self) -> None:
        """The object has ended its stand, because it let a lease run out: nothing comes to it until it says something."""
        self._is_silent = True

    def free(self) -> list[str] | None:
        """The entities for which it has a hand free, as far as it knows; None if it takes all and has one free."""
        hands = self._hands
        if len(self.held) >= hands.hands or self._is_silent:
            return []
        if hands.entities is None:
            return None
        counts = Counter(self._entities.values())
        return [name for name, number in hands.entities.items() if counts[name] < number]

    def give(self, message: ChangedMessage, raw: Raw, talk: schemas.Talk | UnsetType) -> None:
        """The bot has this message, which was claimed for it."""
        params = message.bot_params
        self._hold(message.id, params.attempt, params.entity or params.assigned_entity)
        self._push(frames.Work(raw, talk))

    def _hold(self, message_id: str, attempt: int, entity: str | None = None) -> None:
        self.held[message_id] = attempt
        self._entities[message_id] = entity
        self._desk.holders[message_id] = self

    def drop(self, message_id: str) -> None:
        """Forget a message that the bot does not hold any more."""
        if self.held.pop(message_id, None) is not None:
            del self._entities[message_id]
            if self._desk.holders.get(message_id) is self:
                del self._desk.holders[message_id]
            self.changed.set()

    async def _push_work(self, message_id: str, attempt: int) -> None:
        """Send a message that was handed over, with its talk."""
        standing, context = self._desk.standing, self._hands.context
        assert standing is not None  # noqa: S101 - nothing else hands over
        for number in range(RETRIES):
            try:
                claim = await standing.held(message_id, attempt, context)
            except Refusal:
                break  # it has ended meanwhile
            except DurableObjectError:
                await self._desk.sleep(RETRY_SECONDS * 2**number)
            else:
                if self.held.get(message_id) == attempt:
                    talks = claim.talks
                    self._push(frames.Work(claim.message, talks[message_id] if talks else UNSET))
                return
        if self.held.get(message_id) == attempt:
            self.drop(message_id)

    def _as_stand(self, worker_id: str) -> Stand:
        hands, desk = self._hands, self._desk
        also = tuple(name for name in hands.personas if hands.entities is not None and name not in hands.entities)
        return Stand(self.socket, desk.gateway, desk.life, worker_id, hands.hands, hands.entities, also=also)

    async def _stand(self) -> list[schemas.Conflict]:
        """Stand with the hands of the last frame; returns the bots with other personas."""
        conflicts = self._desk.come(self)
        self.changed.set()
        standing, worker_id = self._desk.standing, self.worker_id
        if standing is not None and worker_id is not None:
            if not self._whole and (known := await standing.stand_at(self.socket)) is not None:
                self._hands, self._whole = replace(self._hands, entities=known.entities), True
            before = dict(self.held)
            now = {hold.message_id: hold.attempt for hold in await standing.stand(self._as_stand(worker_id))}
            for message_id, attempt in before.items():
                if now.get(message_id) != attempt and self.held.get(message_id) == attempt:
                    self.lost(message_id)
            for message_id, attempt in now.items():
                self.handed(message_id, attempt)
        return conflicts

    async def renew(self) -> None:
        """Stand again, and learn what events have not said; not for a bot that seems to hang."""
        if not self._ended and self._early is None and not self._is_silent:
            with suppress(DurableObjectError):  # later, or with the next frame
                await self._stand()

    # -- The end

    def has_ended(self) -> bool:
        """Whether the socket has ended."""
        return self._ended

    async def end(self, *, give_back: bool = True) -> None:
        """The socket has ended. What the bot holds is given back at once; without ``give_back`` it may come back for it."""
        if self._ended:
            return
        self._ended = True
        self.changed.set()
        held = dict(self.held)
        for message_id in held:
            self.drop(message_id)
        self._desk.go(self)
        if self.worker_id is None:
            return
        if self._desk.standing is not None:
            await self._desk.leave(self.socket, give_back=give_back)
        elif give_back:
            await asyncio.gather(*[release(self._desk, self.worker_id, *hold) for hold in held.items()])
