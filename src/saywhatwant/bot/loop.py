"""The loop of a bot: wait for work, answer it, and the answer and its completion are one write."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from saywhatwant.bot.reply_stream import ReplyStream
from saywhatwant.client import ServerRefused, ServerUnavailable, WallClient
from saywhatwant.entities import Entities, Entity
from saywhatwant.limits import (
    MAX_CIRCUIT_ENTITIES,
    MAX_CIRCUIT_REASON,
    MAX_ENTITIES,
    MAX_PAGE,
    MAX_PROVIDER,
    MAX_WAIT_SECONDS,
)
from saywhatwant.message import Message, without_controls
from saywhatwant.models import Model, ModelFailed, Turn
from saywhatwant.schemas import (
    CircuitReport,
    ClaimRequest,
    CompleteRequest,
    FailRequest,
    Reply,
)

MAX_PAUSE_SECONDS = 5.0
"""The longest pause between tries to reach a server that is away."""
MANY_CLAIMS = 16
"""With so many under way, those made beside them are soon put together."""
GATHER_SECONDS = 2.0
"""How soon."""
UNFORESEEN = "something went wrong in the bot; its log says what"
"""The reason that everybody may read; what it was may hold anything."""
GONE = {404, 409}
"""Refusals that say the message is not ours any more."""


class Bot:
    """Answers for some entities, each with as many hands as it has concurrency, until cancelled.

    ``names`` are those it answers for; none is all there are. What it holds when cancelled is finished within
    ``grace_seconds``, or given back.
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
    ) -> None:
        if unknown := sorted(set(names) - set(entities.current)):
            raise ValueError(f"no such entity: {', '.join(unknown)}; there are {', '.join(entities.current)}")
        self._client = client
        self._worker_id = worker_id
        self._entities = entities
        self._names = list(names)
        self._model = model
        self._grace_seconds = grace_seconds
        self._busy: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._claims: dict[asyncio.Task[list[Message]], list[str]] = {}
        self._lapse_at = 0.0
        self._gather_at = 0.0
        self._log = structlog.get_logger().bind(worker=worker_id)

    async def release_held(self) -> None:
        """Give back what a process of this worker's name held when it died. Only for a name that nobody else uses."""
        for message in await self._client.listing("held", MAX_PAGE):
            if message.bot_params.claimed_by == self._worker_id:
                await self._fail(message, "the worker was restarted")

    async def run(self) -> None:
        """Claim and answer for ever; a server that is away is waited for. Raises ``ServerRefused`` when it lets no bot in.

        Whatever ends it, it may be run again.
        """
        try:
            await asyncio.to_thread(self._warm_up)
            await self._claim_for_ever()
        finally:
            await self._finish()

    async def run_once(self) -> bool:
        """Answer one message, if there is one; whether there was."""
        names = self._free()
        for start in range(0, len(names), MAX_ENTITIES):
            for message in await self._claim(names[start : start + MAX_ENTITIES], 0):
                await self._answer(message, self._entity_of(message))
                return True
        return False

    async def dry_run(self) -> str | None:
        """What would be answered to the most urgent message; nothing is claimed and nothing posted."""
        for message in await self._client.listing("pending", MAX_PAGE):
            name = self._entity_of(message)
            if name in self._serving():
                return await self._think(message, self._serving()[name], lambda _: None)
        return None

    def _warm_up(self) -> None:
        for name, entity in self._serving().items():
            try:
                self._model.warm_up(entity)
            except Exception:  # noqa: BLE001 - whatever it is, the others can answer
                self._log.exception("not ready", entity=name)

    async def _claim_for_ever(self) -> None:
        pause = 0.0
        while True:
            self._entities.refresh()
            self._ask_for_more()
            if not self._claims and not self._tasks:
                # Every provider is left alone, or a change of the file has left nobody to answer for.
                await asyncio.sleep(min(self._next_look() or MAX_PAUSE_SECONDS, MAX_PAUSE_SECONDS))
                continue
            await asyncio.wait({*self._claims, *self._tasks}, timeout=self._next_look(), return_when=asyncio.FIRST_COMPLETED)
            if trouble := self._take_claimed():
                pause = min(max(2 * pause + 0.1, trouble.retry_after), MAX_PAUSE_SECONDS)
                self._log.warning("waiting for the server", error=str(trouble), pause=round(pause, 1))
                await asyncio.sleep(pause)
            else:
                pause = 0.0

    def _ask_for_more(self) -> None:
        """Have a claim under way for every entity that has a hand free, and one claim for all when nothing happens.

        A claim is never broken off to ask anew, since its answer might be under way; one for those that have become free is
        made beside it, and lasts at most as long.
        """
        asked = {name for names in self._claims.values() for name in names}
        names = [name for name in self._free() if name not in asked]
        for start in range(0, len(names), MAX_ENTITIES):
            some = names[start : start + MAX_ENTITIES]
            self._claims[asyncio.create_task(self._claim(some, self._wait()))] = some

    def _wait(self) -> float:
        """How long a claim made now lasts: until all end, or until those beyond ``MANY_CLAIMS`` do."""
        now = time.monotonic()
        if not self._claims or self._lapse_at <= now:
            self._lapse_at = now + MAX_WAIT_SECONDS
        if self._gather_at <= now:
            self._gather_at = now + GATHER_SECONDS
        end = self._lapse_at if len(self._claims) < MANY_CLAIMS else min(self._gather_at, self._lapse_at)
        # Rounded, now + 60 - now may be more than 60, which no server takes.
        return min(end - now, MAX_WAIT_SECONDS)

    def _take_claimed(self) -> ServerUnavailable | None:
        """Begin what has been claimed; what kept a claim from being answered, if anything did."""
        trouble = None
        for claim in [claim for claim in self._claims if claim.done()]:
            del self._claims[claim]
            try:
                messages = claim.result()
            except ServerUnavailable as error:
                trouble = error
                continue
            for message in messages:
                self._begin(message)
        return trouble

    def _begin(self, message: Message) -> None:
        name = self._entity_of(message)
        self._busy[name] += 1
        task = asyncio.create_task(self._answer(message, name))
        self._tasks.add(task)

        def end(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._busy[name] -= 1

        task.add_done_callback(end)

    async def _claim(self, names: list[str], wait: float) -> list[Message]:
        return await self._client.claim_next(ClaimRequest(worker_id=self._worker_id, entities=names, wait=wait))

    def _serving(self) -> dict[str, Entity]:
        current = self._entities.current
        return {name: current[name] for name in self._names if name in current} if self._names else current

    def _free(self) -> list[str]:
        return [
            name
            for name, entity in self._serving().items()
            if self._busy[name] < entity.concurrency and not self._model.open_circuit(entity)
        ]

    def _next_look(self) -> float | None:
        """Seconds until a provider that is left alone may be asked again; None when there is none."""
        circuits = map(self._model.open_circuit, self._serving().values())
        return min((circuit.seconds for circuit in circuits if circuit), default=None)

    def _entity_of(self, message: Message) -> str:
        """Whom it is to; a message to nobody in particular is for the first who has a hand free."""
        return message.bot_params.entity or next(iter([*self._free(), *self._serving()]), "")

    async def _answer(self, message: Message, name: str) -> None:
        entity = self._serving().get(name)
        if entity is None:
            await self._fail(message, f"the entities file has no {name!r} any more")
            return
        log = self._log.bind(message=message.id, attempt=message.bot_params.attempt, entity=name)
        writing = ReplyStream(self._client, message, self._worker_id)
        try:
            async with writing:
                text = await self._think(message, entity, writing.add)
                writing.stop_progress()
                reply = Reply(text=text, username=entity.display_name, color=entity.color)
                complete = CompleteRequest(
                    message_id=message.id,
                    worker_id=self._worker_id,
                    attempt=message.bot_params.attempt,
                    reply=reply,
                )
                done = await self._client.complete(complete)
            log.info("answered", reply=done.id, waited=_waited(message), seconds=writing.seconds, tokens=writing.pieces)
        except (ModelFailed, ServerRefused) as error:
            if isinstance(error, ServerRefused) and error.status in GONE:
                log.warning("dropped: its lease has passed on", error=str(error))
                return
            log.warning("failed", error=str(error), seconds=writing.seconds)
            await self._fail(message, str(error))
            await self._tell_of_circuit(entity)
        except ServerUnavailable as error:
            log.warning("dropped: the server is away", error=str(error))
        except asyncio.CancelledError:
            log.info("given back")
            await self._fail(message, "the worker was stopped")
            raise
        except Exception:  # whatever it is, the queue must hear of it
            log.exception("failed")
            await self._fail(message, UNFORESEEN)

    async def _think(self, message: Message, entity: Entity, show: Callable[[str], None]) -> str:
        pieces = []
        async for piece in self._model.stream(entity, await self._turns(message, entity)):
            pieces.append(piece)
            show(piece)
        text = without_controls("".join(pieces))
        if not text:
            raise ModelFailed(f"{entity.model} answered with nothing (empty)")
        return text

    async def _turns(self, message: Message, entity: Entity) -> list[Turn]:
        turns = [Turn("system", entity.system_prompt)] if entity.system_prompt else []
        if entity.context:
            # One more than wanted, since the message itself is among the newest as a rule.
            newest = await self._client.read(limit=entity.context + 1, order="desc")
            earlier = [other for other in reversed(newest) if other.timestamp < message.timestamp]
            for other in earlier[-entity.context :]:
                own = other.username == entity.display_name and other.message_type == "AI"
                turns.append(Turn("assistant", other.text) if own else Turn("user", f"{other.username}: {other.text}"))
        return [*turns, Turn("user", message.text)]

    async def _tell_of_circuit(self, entity: Entity) -> None:
        """Have the queue show that a provider is left alone, if this entity's is."""
        circuit = self._model.open_circuit(entity)
        if circuit is None:
            return
        self._log.warning("circuit open", provider=circuit.provider, seconds=round(circuit.seconds), reason=circuit.reason)
        circuits = {name: self._model.open_circuit(other) for name, other in self._serving().items()}
        names = [name for name, other in circuits.items() if other and other.provider == circuit.provider]
        report = CircuitReport(
            worker_id=self._worker_id,
            provider=circuit.provider[:MAX_PROVIDER],
            entities=names[:MAX_CIRCUIT_ENTITIES],
            seconds=circuit.seconds,
            reason=without_controls(circuit.reason)[:MAX_CIRCUIT_REASON],
        )
        with suppress(ServerRefused, ServerUnavailable):
            await self._client.report_circuit(report)

    async def _fail(self, message: Message, reason: str) -> None:
        attempt, error = message.bot_params.attempt, without_controls(reason)
        with suppress(ServerRefused, ServerUnavailable):
            await self._client.fail(FailRequest(message_id=message.id, worker_id=self._worker_id, attempt=attempt, error=error))

    async def _finish(self) -> None:
        for claim in self._claims:
            claim.cancel()
        claimed = await asyncio.gather(*self._claims, return_exceptions=True)
        self._claims.clear()
        messages = [message for found in claimed if isinstance(found, list) for message in found]
        returns = {asyncio.create_task(self._fail(message, "the worker was stopped")) for message in messages}
        await _within(self._grace_seconds, self._tasks)
        # Cancelled, they give back what they hold; a server that is away hears of it by the end of the lease.
        await _within(self._grace_seconds, self._tasks | returns)


async def _within(seconds: float, tasks: set[asyncio.Task[None]]) -> None:
    """Wait for all of them for so long, then cancel those that go on."""
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()


def _waited(message: Message) -> float:
    """Seconds between its post and its claim."""
    return round(((message.bot_params.claimed_at or 0) - message.timestamp) / 1_000, 2)
