"""Several gateways in front of one simulated queue, with a network between: answers and events come late, or not at all."""

import asyncio
from collections.abc import Callable
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from durable_objects import EventsLost, EventStream, OutcomeUnknown, Stub
from durable_objects.simulated import SimulatedRuntime
from saywhatwant.message import NewMessage, decode
from saywhatwant.queue import MessageQueue, QueueConfig
from saywhatwant.schemas import ClaimNextResponse
from saywhatwant.topology import SingleWall
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.queue_events import QueueEvents
from scenario import turns

P = ParamSpec("P")
R = TypeVar("R")

Loss = Literal["request", "answer"]


class Network:
    """What one gateway sees of the queue."""

    def __init__(self, stub: Stub[MessageQueue]) -> None:
        self._stub = stub
        self.options = stub.options
        self.settle = stub.settle
        self.claims = 0
        """Calls of ``claim_next``."""
        self.in_vain = 0
        """Those of claims that had been woken, and that found nothing."""
        self.loses: list[Loss] = []
        """What of the next calls is lost."""
        self.calls = 0
        self.events_lost = False
        """Whether the next event is lost."""
        self.is_cut = False
        self.answers, self.events_come = asyncio.Event(), asyncio.Event()
        self.answers.set()
        self.events_come.set()

    async def call(self, method: Callable[Concatenate[MessageQueue, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        self.calls += 1
        loses = self.loses.pop(0) if self.loses else None
        if self.is_cut or loses == "request":
            raise OutcomeUnknown("the request was lost")
        answer = await self._stub.call(method, *args, **kwargs)
        if isinstance(answer, ClaimNextResponse):
            wait: Any = kwargs.get("wait")
            self.claims += 1
            self.in_vain += bool(wait is not None and wait.woken_for and not answer.messages)
        await self.answers.wait()
        if loses == "answer":
            raise OutcomeUnknown("the answer was lost")
        return answer

    def events(self, since: int | None = None) -> EventStream:
        return _LateEvents(self, self._stub.events(since))  # type: ignore[return-value] # it has all that is used


class _LateEvents:
    def __init__(self, network: Network, stream: EventStream) -> None:
        self._network = network
        self._stream = stream
        self.aclose = stream.aclose
        self.get_nowait = lambda: None

    async def __anext__(self) -> Any:
        events = await anext(self._stream)
        await self._network.events_come.wait()
        if self._network.events_lost:
            self._network.events_lost = False
            raise EventsLost("too far behind")
        if self._network.is_cut:
            await asyncio.Event().wait()
        return events


class Gateway:
    """A gateway, and the claims of the bots that it serves. ``life`` is how often one with this name has started before."""

    def __init__(self, queue: Stub[MessageQueue], name: str, life: int = 0) -> None:
        self.name, self.life = name, life
        self.network = Network(queue)
        self._looks: list[Callable[[], None]] = []
        self.events = QueueEvents(SingleWall(self.network), sleep=_at_once)
        self.waiters = ClaimWaiters(
            SingleWall(self.network),
            self.events,
            gateway=name,
            life=life,
            call_later=lambda _, look: self._looks.append(look),
        )
        self.claims: dict[asyncio.Task[ClaimNextResponse], tuple[tuple[str, ...], asyncio.Event]] = {}
        """With the entities of each, and the event of its client's leaving."""

    async def wait(self, *entities: str, limit: int = 1, seconds: float = 60) -> asyncio.Task[ClaimNextResponse]:
        """A claim that has come as far as it can."""
        gone = asyncio.Event()

        async def disconnected() -> None:
            await gone.wait()

        claim = asyncio.create_task(self.waiters.claim(f"bot of {self.name}", entities or None, limit, seconds, disconnected))
        self.claims[claim] = (entities, gone)
        await turns()
        return claim

    def waiting(self) -> list[tuple[str, ...]]:
        """The entities of the claims that wait."""
        return [entities for claim, (entities, _) in self.claims.items() if not claim.done()]

    def attempts(self) -> list[tuple[str, int]]:
        """What its bots have got: the ids of messages, and the attempts."""
        done = [claim for claim in self.claims if claim.done() and not claim.cancelled() and claim.exception() is None]
        messages = [decode(wire) for claim in done for wire in claim.result().messages]
        return [(message.id, message.bot_params.attempt) for message in messages]

    def leave(self, pick: int) -> None:
        """The client of a claim that waits goes away."""
        leavers = [gone for claim, (_, gone) in self.claims.items() if not claim.done()]
        if leavers:
            leavers[pick % len(leavers)].set()

    async def look(self) -> None:
        """A second passes for those who look after unclaimed messages."""
        looks, self._looks[:] = list(self._looks), []
        for look in looks:
            look()
        await turns()

    async def die(self) -> None:
        """The process is killed: nothing of it reaches the queue any more."""
        self.network.is_cut = True
        for claim in self.claims:
            claim.cancel()
        await turns()
        await self.events.aclose()


class Gateways:
    """Make it inside a running event loop."""

    def __init__(self, *names: str) -> None:
        self.runtime = SimulatedRuntime()
        config = QueueConfig(entities=("zen", "rude", "eliza"))
        self.queue = self.runtime.namespace("MessageQueue", MessageQueue, config).get("global-queue")
        self.gateways = [Gateway(self.queue, name) for name in names]
        self.dead: list[Gateway] = []

    def __getitem__(self, number: int) -> Gateway:
        return self.gateways[number]

    def __iter__(self) -> Any:
        return iter(self.gateways)

    async def post(self, entity: str | None = "zen", priority: int = 50) -> str:
        """A message's id."""
        message = NewMessage(text="Why?", username="Human", color="169080199", entity=entity, priority=priority)
        return (await self.queue.call(MessageQueue.post, message)).id

    async def pending(self) -> list[tuple[str, str | None]]:
        """Ids and entities of claimable messages."""
        messages = [decode(wire) for wire in await self.queue.call(MessageQueue.pending, 1_000)]
        return [(message.id, message.bot_params.entity) for message in messages]

    def tickets(self) -> list[str]:
        """The tickets in storage."""
        keys = [key for key, _ in self.runtime.disk.list("MessageQueue/global-queue", "waiting/", "", 1_000)]
        return [key.removeprefix("waiting/") for key in keys]

    async def restart(self, number: int) -> None:
        """Kill a gateway and start it again."""
        old = self.gateways[number]
        await old.die()
        self.dead.append(old)
        self.gateways[number] = Gateway(self.queue, old.name, old.life + 1)

    async def settle(self) -> None:
        """Let everything arrive."""
        for gateway in self.gateways:
            gateway.network.answers.set()
            gateway.network.events_come.set()
        await turns()

    async def aclose(self) -> None:
        """End it."""
        for gateway in self.gateways:
            gateway.waiters.close()
        await turns()
        for gateway in self.gateways:
            await gateway.events.aclose()


def ids(claim: asyncio.Task[ClaimNextResponse]) -> list[str]:
    """What a finished claim got."""
    return [decode(wire).id for wire in claim.result().messages]


async def _at_once(_: float) -> None:
    await asyncio.sleep(0)
