"""Calls between objects while the disk fails: none is lost, none overtakes another, and nothing else stops."""

from collections.abc import Sequence

import courier
import pytest
from courier import Letters

from durable_objects import DataBusy, OutcomeUnknown, Stub
from durable_objects.limits import ALARM_RETRY_MS
from durable_objects.simulated import SimulatedRuntime
from durable_objects.storage import OUTBOX


class Restarted:
    """A process that was restarted, with letters of ``a`` to ``b`` that nobody has taken; the first reads of them fail."""

    def __init__(self, error: Exception, *, failures: int = 1) -> None:
        courier.broken.clear()
        self.runtime = SimulatedRuntime()
        self._letters = self.runtime.namespace("Letters", Letters)
        courier.broken.add("b")
        self.runtime.run(self.letters("a").call(Letters.write, to=["b", "b"]))
        courier.broken.clear()
        self.runtime.crash()
        self._read, self._error, self._failures = self.runtime.disk.list, error, failures
        self.runtime.disk.list = self._list  # type: ignore[method-assign]

    def letters(self, name: str) -> Stub[Letters]:
        return self._letters.get(name)

    def got(self) -> list[str]:
        return [value.decode() for _, value in self._read("Letters/b", "got/", "", 100)]

    def _list(self, object_id: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        if prefix.startswith(OUTBOX) and self._failures:
            self._failures -= 1
            raise self._error
        return self._read(object_id, prefix, after, limit)


def test_what_is_sent_after_a_restart_never_overtakes_what_was_sent_before() -> None:
    """The receiver would take the earlier calls for repetitions."""
    process = Restarted(DataBusy("busy"))
    process.runtime.run(process.letters("a").call(Letters.write, to=["b"]))
    assert process.got() == []
    process.runtime.advance(ALARM_RETRY_MS / 1_000)
    assert process.got() == ["a 1", "a 2", "a 3"]


def test_settle_does_not_return_while_nobody_knows_what_was_sent() -> None:
    process = Restarted(DataBusy("busy"))
    with pytest.raises(OutcomeUnknown, match="what Letters/a has sent cannot be read at the moment"):
        process.runtime.run(process.letters("a").settle())
    process.runtime.advance(ALARM_RETRY_MS / 1_000)
    process.runtime.run(process.letters("a").settle())
    assert process.got() == ["a 1", "a 2"]


def test_an_error_of_the_disk_stops_neither_commits_nor_alarms() -> None:
    """Whatever the disk raises where calls of the last process are looked for."""
    process = Restarted(OSError("I/O error"), failures=2)
    process.runtime.run(process.letters("a").call(Letters.write, to=["b"], alarm_at=process.runtime.now_ms + 500))
    process.runtime.advance(2 * ALARM_RETRY_MS / 1_000)
    assert process.got() == ["a 1", "a 2", "a 3"]
    assert process.runtime.run(process.letters("a").call(Letters.read)) == 1
