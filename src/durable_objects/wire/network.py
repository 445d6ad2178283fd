"""What happens to calls, answers and events on their way, drawn from a seed."""

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from durable_objects.errors import OutcomeUnknown
from durable_objects.local import LocalRuntime

if TYPE_CHECKING:
    import asyncio


class Network:
    """Delays and loses what it carries. Calls and answers overtake each other; the events of one channel stay in order.

    All attributes may be set at any time.

    Attributes:
        max_turns: how many turns of the event loop one may take, 0 or more.
        lost_calls: the share of calls that never arrive, 0 to 1.
        lost_answers: the share of answers that never arrive, 0 to 1; the call has been made.
        lost_signals: the share of signals that never arrive, 0 to 1.
    """

    def __init__(self, runtime: LocalRuntime, seed: int) -> None:
        self.max_turns = 3
        self.lost_calls = 0.0
        self.lost_answers = 0.0
        self.lost_signals = 0.0
        self._runtime = runtime
        self._random = Random(seed)  # noqa: S311 - repeatable on purpose

    async def carry_call(self) -> None:
        """Return when a call arrives; raises ``OutcomeUnknown`` for one that never does."""
        await self._travel(self.lost_calls)

    async def carry_answer(self) -> None:
        """Return when an answer arrives; raises ``OutcomeUnknown`` for one that never does."""
        await self._travel(self.lost_answers)

    def loses_signal(self) -> bool:
        """Whether a signal never arrives."""
        return self._random.random() < self.lost_signals

    def turns(self) -> int:
        """How many turns the next one takes."""
        return self._random.randint(0, self.max_turns)

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` in the next turn."""
        self._runtime.call_soon(callback)

    async def _travel(self, lost: float) -> None:
        for _ in range(self.turns()):
            await self._next_turn()
        if self._random.random() < lost:
            raise OutcomeUnknown("the network lost the call or its answer: whether the call was made is unknown")

    async def _next_turn(self) -> None:
        waiter = self._runtime.create_waiter()
        self._runtime.call_soon(partial(_release, waiter))
        await waiter


class Channel:
    """The events of one gateway on their way, one after another."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._deliveries: deque[Callable[[], object]] = deque()
        self._turns_left = 0

    def put(self, deliver: Callable[[], object]) -> None:
        """Call ``deliver`` after everything that was put here before."""
        self._deliveries.append(deliver)
        if len(self._deliveries) == 1:
            self._turns_left = self._network.turns()
            self._network.call_soon(self._turn)

    def _turn(self) -> None:
        while self._deliveries and self._turns_left == 0:
            self._deliveries[0]()
            self._deliveries.popleft()
            self._turns_left = self._network.turns()
        if self._deliveries:
            self._turns_left -= 1
            self._network.call_soon(self._turn)


def _release(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
