"""Restate in memory, as far as handlers need it: state, journals, one-way calls; and every way to break an attempt off.

An attempt ends at its n-th step, before or after that is journaled. What it has not journaled the next attempt does again, in
this process or another one; and code of a broken attempt may still run later, as when only the connection was lost.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Generator
from datetime import timedelta
from typing import Any

from restate import TerminalError

from durable_objects.restate.encoding import PREFIX
from durable_objects.restate.object_host import ObjectHost
from durable_objects.restate.service import ObjectService


class BrokenOff(BaseException):
    """The attempt ends here. As an exception of the SDK, it is none that handlers may handle."""


class Done:
    """A value that is there at once."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from ()
        return self._value


class Invocation:
    """One call of a handler."""

    def __init__(self, service: str, key: str, handler: str, argument: bytes, due_at: int) -> None:
        self.service, self.key, self.handler, self.argument, self.due_at = service, key, handler, argument, due_at
        self.journal: list[tuple[Any, Any]] = []
        """What was done, and what came of it."""
        self.attempts = 0
        self.answer: bytes | None = None
        self.error: str | None = None


class FakeContext:
    """What a handler is given for one attempt, which is broken off when ``steps`` are done.

    With ``has_run`` its calls have run by then, and only their journal is missing; otherwise they may run later.
    """

    def __init__(self, cluster: "FakeRestate", invocation: Invocation, steps: int | None, *, has_run: bool = False) -> None:
        self._has_run = has_run
        self._cluster = cluster
        self._invocation = invocation
        self._state = cluster.state[invocation.service, invocation.key]
        self._steps = steps
        self._position = 0

    def key(self) -> str:
        return self._invocation.key

    def get(self, name: str, **_: Any) -> Done:
        return Done(self._step(("get", name), lambda: self._state.get(name)))

    def state_keys(self) -> Done:
        return Done(self._step(("keys",), lambda: sorted(self._state)))

    async def run_typed(self, name: str, action: Callable[[], Coroutine[Any, Any, bytes]], _: object) -> bytes:
        if self._is_replayed(("run", name)):
            return self._replayed()  # type: ignore[no-any-return]
        if self._steps == 0 and not self._has_run:
            self._cluster.zombies.append(action)
            raise BrokenOff
        result = await action()
        return self._step(("run", name), lambda: result)  # type: ignore[no-any-return]

    def set(self, name: str, value: bytes, **_: Any) -> None:
        self._step(("set", name, value), lambda: self._state.__setitem__(name, value))

    def clear(self, name: str) -> None:
        self._step(("clear", name), lambda: self._state.pop(name, None))

    def generic_send(
        self, service: str, handler: str, argument: bytes, key: str, *, send_delay: timedelta = timedelta(0)
    ) -> None:
        due_at = self._cluster.now_ms + send_delay // timedelta(milliseconds=1)
        sent = Invocation(service, key, handler, argument, due_at)
        self._step(("send", service, handler, argument, key), lambda: self._cluster.send(sent))

    def _is_replayed(self, what: Any) -> bool:
        journal = self._invocation.journal
        if self._position == len(journal):
            return False
        assert journal[self._position][0] == what, "an attempt does something else than the one before it"
        return True

    def _replayed(self) -> Any:
        self._position += 1
        return self._invocation.journal[self._position - 1][1]

    def _step(self, what: Any, do: Callable[[], Any]) -> Any:
        if self._is_replayed(what):
            return self._replayed()
        if self._steps is not None:
            if not self._steps:
                raise BrokenOff
            self._steps -= 1
        self._invocation.journal.append((what, do()))
        return self._replayed()


class FakeRestate:
    """A cluster, and the processes that serve its objects.

    Attributes:
        processes: the hosts; any of them may run any attempt.
        zombies: code of attempts that were broken off, which may run at any time.
        on_end: called with each invocation that has ended.
    """

    def __init__(self, new_host: Callable[[], ObjectHost], processes: int = 2) -> None:
        self.now_ms = 1_700_000_000_000
        self.state: defaultdict[tuple[str, str], dict[str, bytes]] = defaultdict(dict)
        self.queues: defaultdict[tuple[str, str], deque[Invocation]] = defaultdict(deque)
        self.delayed: list[Invocation] = []
        self.zombies: list[Callable[[], Coroutine[Any, Any, bytes]]] = []
        self.on_end: Callable[[Invocation], None] = lambda _: None
        self._new_host = new_host
        self.processes = [new_host() for _ in range(processes)]

    def restart(self, process: int) -> None:
        """The memory of a process is lost."""
        self.processes[process] = self._new_host()

    def invoke(self, namespace: str, key: str, handler: str, argument: bytes) -> Invocation:
        """Call a handler; it waits for its turn at the object."""
        invocation = Invocation(f"{PREFIX}.{namespace}", key, handler, argument, self.now_ms)
        self.send(invocation)
        return invocation

    def send(self, invocation: Invocation) -> None:
        if invocation.due_at > self.now_ms:
            self.delayed.append(invocation)
        else:
            self.queues[invocation.service, invocation.key].append(invocation)

    def attempt(self, at: tuple[str, str], process: int, steps: int | None = None, *, has_run: bool = False) -> bool:
        """Go on with the first invocation of an object, up to so many further steps; returns whether it has ended."""
        invocation = self.queues[at][0]
        invocation.attempts += 1
        try:
            invocation.answer = self._run(invocation, process, steps, has_run=has_run)
        except BrokenOff:
            return False
        except TerminalError as error:
            invocation.error = str(error)
        self.queues[at].popleft()
        self.on_end(invocation)
        return True

    def shared(self, namespace: str, key: str, handler: str, argument: bytes, process: int = 0) -> bytes:
        """Call a handler that changes nothing; it does not wait for a turn."""
        return self._run(Invocation(f"{PREFIX}.{namespace}", key, handler, argument, self.now_ms), process, None)

    def sent(self, namespace: str, key: str) -> bytes:
        """Ask to whom an object has sent calls."""
        context: Any = FakeContext(self, Invocation(f"{PREFIX}.{namespace}", key, "sent", b"", 0), None)
        return run(ObjectService(self.processes[0], PREFIX, namespace).sent(context))

    def _run(self, invocation: Invocation, process: int, steps: int | None, *, has_run: bool = False) -> bytes:
        _, _, namespace = invocation.service.partition(".")
        service = ObjectService(self.processes[process], PREFIX, namespace)
        handler = getattr(service, invocation.handler)
        return run(handler(FakeContext(self, invocation, steps, has_run=has_run), invocation.argument))

    def raise_dead(self) -> None:
        """Let the code of broken attempts run to where it notices."""
        zombies, self.zombies = self.zombies, []
        for zombie in zombies:
            run(zombie())

    def advance(self, seconds: float) -> None:
        """Let time pass: delayed calls come when they are due, the earliest first."""
        self.now_ms += round(seconds * 1_000)
        due = sorted((one for one in self.delayed if one.due_at <= self.now_ms), key=lambda one: one.due_at)
        self.delayed = [one for one in self.delayed if one.due_at > self.now_ms]
        for invocation in due:
            self.queues[invocation.service, invocation.key].append(invocation)

    @property
    def busy(self) -> list[tuple[str, str]]:
        """Objects with invocations that have not ended."""
        return sorted(at for at, queue in self.queues.items() if queue)

    def finish(self, process: int = 0) -> None:
        """Run everything that is not delayed to its end."""
        while self.busy:
            self.attempt(self.busy[0], process)


def run(coroutine: Coroutine[Any, Any, bytes]) -> bytes:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        return stopped.value  # type: ignore[no-any-return]
    raise AssertionError("a handler waits for something that is not journaled")
