"""The bot's loop: claim for every entity that has capacity, answer, and give back unanswered messages when stopped."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from saywhatwant.bot.answers import Answers
from saywhatwant.bot.calls import Calls
from saywhatwant.bot.claims import Claimed, Claims, hands_of
from saywhatwant.bot.connection import Connect, SocketEnded, SocketRefused, open_socket
from saywhatwant.bot.line import Line
from saywhatwant.bot.trust import Trust
from saywhatwant.client import ServerRefused, ServerUnavailable, WallClient
from saywhatwant.entities import Entities, Entity
from saywhatwant.frames import PATH
from saywhatwant.limits import MAX_PAGE
from saywhatwant.message import Message
from saywhatwant.models import Model

MAX_PAUSE_SECONDS = 5.0
"""The longest pause between attempts to reach a server that is unavailable."""
REFRESH_SECONDS = 60.0
"""Seconds after which an entities file is looked at again though nothing happens."""


class Bot:
    """Answers for some entities, each up to its concurrency, until cancelled.

    ``names`` are the entities it answers for; empty means all entities of the file. When cancelled, it has ``grace_seconds``
    to finish the messages it is answering, then gives the rest back. It stands in line at the wall over a WebSocket, which
    ``connect`` opens (by default over the client's network); where there are none it claims with long polls.
    """

    def __init__(
        self,
        client: WallClient,
        worker_id: str,
        entities: Entities,
        model: Model,
        *,
        names: Sequence[str] = (),
        grace_seconds: float = 3.0,
        connect: Connect | None = None,
    ) -> None:
        if unknown := sorted(set(names) - set(entities.current)):
            raise ValueError(f"no such entity: {', '.join(unknown)}; must be one of {', '.join(entities.current)}")
        self._client = client
        self._worker_id = worker_id
        self._entities = entities
        self._names = list(names)
        self._model = model
        self._grace_seconds = grace_seconds
        self._claims = Claims(client, worker_id, self._answerable)
        self._line = None
        if connect is None and client.has_network:
            connect = partial(open_socket, directly=client.is_direct)
        if connect is not None:
            self._line = Line(client.url + PATH, client.headers, worker_id, connect, self._claims.warn_of)
        self._answers = Answers(Calls(client, self._line), worker_id, model)
        self._answering: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: set[str] = set()
        """Ids of the messages that are being answered."""
        self._waking: list[asyncio.Task[None]] = []
        """The requests that load models with ``warm_up``."""
        self._log = structlog.get_logger().bind(worker=worker_id)

    async def release_held(self) -> None:
        """Give back messages that an earlier process held under this worker id. No running process may use the same id."""
        for message in await self._client.listing("held", MAX_PAGE):
            if message.bot_params.claimed_by == self._worker_id and message.id not in self._held:
                await self._answers.release(message)

    async def run(self) -> None:
        """Claim and answer forever, waiting while the server is unavailable. It may be called again after it has ended.

        Raises ``ServerRefused`` when the server refuses its claims.
        """
        try:
            await asyncio.to_thread(self._warm_up)
            waking = [entity for entity in self._serving().values() if entity.warm_up]
            self._waking = [asyncio.create_task(self._model.wake(entity)) for entity in waking]
            await self._answer_forever()
        finally:
            await self._shutdown()

    async def run_once(self) -> bool:
        """Answer one message if there is one; returns whether there was."""
        found = await self._claims.take_now(self._free())
        for claimed in found:
            await self._answers.answer(claimed, self._entity_of(claimed.message), self._serving())
        return bool(found)

    async def dry_run(self, on_request: Callable[[dict[str, Any]], None]) -> str | None:
        """The answer to the most urgent pending message, without claiming or posting anything; None when there is none.

        ``on_request`` gets the body of the request that is sent to the model. Raises ``ModelFailed``.
        """
        serving = self._serving()
        for message in await self._client.listing("pending", MAX_PAGE):
            if (name := self._entity_of(message)) in serving:
                return await self._answers.preview(message, name, serving[name], on_request)
        return None

    def _warm_up(self) -> None:
        for name, entity in self._serving().items():
            try:
                self._model.warm_up(entity)
            except Exception:  # noqa: BLE001 - the other entities can still answer
                self._log.exception("not ready", entity=name)

    async def _answer_forever(self) -> None:
        line, loop = self._line, asyncio.get_running_loop()
        if line is None:
            await self._claim_until(math.inf)
            return
        trust = Trust()
        while True:
            try:
                await line.open(hands_of(self._answerable()))
                trust.opened(loop.time())
                await self._stand(line)
                polls = trust.ended(loop.time())
            except SocketRefused as error:
                polls = trust.refused()
                self._log.info("no WebSocket here, so it polls", status=error.status, seconds=polls)
            except (SocketEnded, ServerUnavailable, ServerRefused) as error:
                polls = trust.failed()
                self._log.debug("no socket", error=str(error))
            if polls:
                line.expect(socket=False)
                await self._claim_until(loop.time() + polls)
            line.expect(socket=True)

    async def _stand(self, line: Line) -> None:
        """Answer what comes through the socket, until it ends."""
        while line.is_open:
            self._entities.refresh()
            while line.given:
                self._begin(line.given.popleft())
            with suppress(SocketEnded):  # which ends the loop
                await line.set_hands(hands_of(self._answerable()))
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self._circuit_seconds() or math.inf, REFRESH_SECONDS)):
                    await line.news.wait()
            line.news.clear()

    async def _claim_until(self, until: float) -> None:
        """Claim with long polls until then, and until none is running any more."""
        loop, pause = asyncio.get_running_loop(), 0.0
        self._claims.until = until
        while self._claims.tasks or loop.time() < until:
            self._entities.refresh()
            if loop.time() < until:
                self._claims.start(self._free())
            waiting = {*self._claims.tasks, *self._tasks}
            if not waiting:
                # Every circuit is open, or the changed file has no entity left to answer for.
                await asyncio.sleep(min(self._circuit_seconds() or MAX_PAUSE_SECONDS, MAX_PAUSE_SECONDS))
                continue
            await asyncio.wait(waiting, timeout=self._circuit_seconds(), return_when=asyncio.FIRST_COMPLETED)
            found, error = self._claims.collect()
            self._entities.refresh()
            for claimed in found:
                self._begin(claimed)
            if isinstance(error, ServerRefused):
                raise error
            if error:
                pause = min(max(2 * pause + 0.1, error.retry_after), MAX_PAUSE_SECONDS)
                self._log.warning("waiting for the server", error=str(error), pause=round(pause, 1))
                await asyncio.sleep(pause)
            else:
                pause = 0.0

    def _begin(self, claimed: Claimed) -> None:
        message_id, name = claimed.message.id, self._entity_of(claimed.message)
        self._answering[name] += 1
        task = asyncio.create_task(self._answers.answer(claimed, name, self._serving()))
        self._tasks.add(task)
        self._held.add(message_id)

        def end(_: asyncio.Task[None]) -> None:
            if self._line is not None:
                self._line.news.set()  # its circuit may have opened or closed
            self._tasks.discard(task)
            self._held.discard(message_id)
            self._answering[name] -= 1

        task.add_done_callback(end)

    def _serving(self) -> dict[str, Entity]:
        current = self._entities.current
        return {name: current[name] for name in self._names if name in current} if self._names else current

    def _answerable(self) -> dict[str, Entity]:
        """The entities whose circuit is closed."""
        return {name: entity for name, entity in self._serving().items() if not self._model.open_circuit(entity)}

    def _free(self) -> list[str]:
        """The entities that have capacity and whose circuit is closed."""
        return [name for name, entity in self._answerable().items() if self._answering[name] < entity.concurrency]

    def _circuit_seconds(self) -> float | None:
        """Seconds until the next open circuit lets a request through; None when none is open."""
        circuits = map(self._model.open_circuit, self._serving().values())
        return min((circuit.seconds for circuit in circuits if circuit), default=None)

    def _entity_of(self, message: Message) -> str:
        """The entity that answers: the one that the message names, the one that the wall assigned, else one with capacity."""
        params = message.bot_params
        return params.entity or params.assigned_entity or next(iter([*self._free(), *self._serving()]), "")

    async def _shutdown(self) -> None:
        line = self._line
        if line is not None and line.is_open:
            with suppress(SocketEnded, ServerRefused, ServerUnavailable, TimeoutError):
                async with asyncio.timeout(self._grace_seconds):
                    await line.set_hands(hands_of({}))
        try:
            await self._give_back()
        finally:
            if line is not None:
                await line.close()

    async def _give_back(self) -> None:
        """Finish what is being answered if that is soon, and give back the rest."""
        if self._line is not None and not self._line.is_open:
            self._line.expect(socket=False)
        for task in self._waking:
            task.cancel()
        await asyncio.gather(*self._waking, return_exceptions=True)
        claimed = await self._claims.cancel()
        returns = {asyncio.create_task(self._answers.release(message)) for message in claimed}
        returns.add(asyncio.create_task(self._release_unseen()))
        await _within(self._grace_seconds, self._tasks)
        # When cancelled they give back their messages; if the server is unavailable, the leases end instead.
        await _within(self._grace_seconds, self._tasks | returns)

    async def _release_unseen(self) -> None:
        """Give back messages claimed by a call that was cancelled before its answer arrived."""
        with suppress(ServerRefused, ServerUnavailable):
            await self.release_held()


async def _within(seconds: float, tasks: set[asyncio.Task[None]]) -> None:
    """Wait up to ``seconds`` for all of them, then cancel the rest."""
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
