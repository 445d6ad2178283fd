"""A coroutine that is stepped manually."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from durable_objects.errors import OutcomeUnknown

ResultT = TypeVar("ResultT")


class Crashed(OutcomeUnknown):
    """The simulated process died while this call waited; the caller cannot know whether it became durable."""


class Task(Generic[ResultT]):
    """A started call, which may wait for a commit."""

    __slots__ = ("_awaited", "_coroutine", "_error", "_result", "_running", "done")

    def __init__(self, coroutine: Coroutine[Any, Any, ResultT]) -> None:
        self._coroutine = coroutine
        self._awaited: asyncio.Future[Any] | None = None
        self._result: list[ResultT] = []
        self._error: BaseException | None = None
        self._running = False
        self.done = False
        """Whether the caller has its answer."""
        self.step()

    @property
    def waits(self) -> bool:
        """Whether it waits for a future that is not done."""
        return self._awaited is not None and not self._awaited.done()

    def result(self) -> ResultT:
        """The answer; raises what the call raised."""
        if self._error is not None:
            raise self._error
        return self._result[0]

    def step(self) -> bool:
        """Run until the answer or the next wait, and return whether it went on; not while its awaited future is not done."""
        if self._running or self.done or self.waits:
            return False
        self._running = True
        try:
            self._awaited = self._coroutine.send(None)
        except StopIteration as stop:
            self._result.append(stop.value)
            self.done = True
        except Exception as error:  # noqa: BLE001 - kept for result()
            self._error = error
            self.done = True
        finally:
            self._running = False
        return self.done or self._awaited is not None

    def abandon(self) -> None:
        """The process died: the caller gets no answer."""
        if not self.done:
            self._coroutine.close()
            self._error = Crashed("the process died")
            self.done = True
