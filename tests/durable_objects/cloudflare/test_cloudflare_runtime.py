"""What the runtime on Cloudflare promises beyond the contract: few rows, few alarms, and nothing that keeps it awake."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps

import pytest
from fake_storage import FakeStorage, StorageFails
from probe import Counted, Probe, Rules
from virtual_loop import VirtualLoop, run_virtually

from durable_objects import CommitFailed, Stub
from durable_objects.cloudflare import CloudflareRuntime
from durable_objects.cloudflare.runtime import COMMIT_INTERVAL_MS
from durable_objects.limits import MAX_ALARMS_PER_TURN


class Life:
    """A Durable Object's storage, and one life of it after another, in virtual time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.storage = FakeStorage()
        self.runtime: CloudflareRuntime

    async def begin(self) -> Stub[Probe]:
        """A new life, which knows nothing of earlier ones; a probe in it."""
        self.runtime = CloudflareRuntime(self.storage, clock=self.loop.now_ms)
        self.runtime.namespace("Probe", Probe, Rules())
        await self.runtime.__aenter__()
        await asyncio.sleep(0.01)
        return self.probe()

    def probe(self, name: str = "one") -> Stub[Probe]:
        return self.runtime.namespace("Probe", Probe, Rules()).get(name)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, with the alarm when it is due; one that raises is called again after two seconds."""
        end = self.loop.now + seconds
        while self.loop.now < end:
            await asyncio.sleep(min(0.05, end - self.loop.now))
            if self.storage.alarm is not None and self.storage.alarm <= self.loop.now_ms():
                self.storage.alarm = None
                try:
                    await self.runtime.alarm()
                except StorageFails:
                    self.storage.alarm = self.loop.now_ms() + 2_000

    def alarms(self) -> tuple[int, int | None]:
        """How often the alarm was set, and when it is due."""
        return self.storage.alarms_set, self.storage.alarm

    @property
    def waits_for(self) -> list[object]:
        """What keeps the object awake: tasks besides the test's own, and timers."""
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        timers = [timer for timer in vars(self.loop)["_scheduled"] if not timer.cancelled()]
        return [*tasks, *timers]


def virtual(test: Callable[[Life], Awaitable[None]]) -> Callable[[], None]:
    """A test in virtual time."""

    @wraps(test)
    def started() -> None:
        loop = VirtualLoop()

        async def to_its_end() -> None:
            life = Life(loop)
            await test(life)
            life.storage.close()

        run_virtually(to_its_end(), loop)

    del started.__wrapped__  # pytest would look for its arguments
    return started


# -- The pace of commits


@virtual
async def test_a_quiet_object_answers_at_once_and_a_busy_one_writes_five_rows_a_second(life: Life) -> None:
    probe = await life.begin()
    began = life.loop.now
    await probe.call(Probe.count)
    assert life.loop.now == began
    rows = life.storage.rows_written
    for _ in range(10):
        await asyncio.gather(*(life.probe(f"{n}").call(Probe.count) for n in range(30)))
    assert life.storage.rows_written - rows == 10
    assert life.loop.now - began == pytest.approx(10 * COMMIT_INTERVAL_MS / 1_000)
    await life.pass_time(1)
    began = life.loop.now
    await probe.call(Probe.count)
    assert life.loop.now == began


@virtual
async def test_p2_a_read_waits_for_the_commit_that_it_saw(life: Life) -> None:
    probe = await life.begin()
    await probe.call(Probe.count)
    writing = asyncio.create_task(probe.call(Probe.count))
    await asyncio.sleep(0.05)
    rows = life.storage.rows_written
    assert await probe.call(Probe.look) == Counted(2, 2)
    assert (writing.done(), life.storage.rows_written) == (True, rows + 1)


@virtual
async def test_a_commit_that_fails_is_answered_and_the_next_one_goes_on_from_what_is_stored(life: Life) -> None:
    probe = await life.begin()
    await probe.call(Probe.count)
    life.storage.fails_after = 0
    with pytest.raises(CommitFailed, match="could not be written"):
        await probe.call(Probe.count)
    assert life.runtime.health() is not None
    await life.pass_time(3.5)
    assert life.runtime.health() is not None
    life.storage.fails_after = None
    await life.pass_time(1)
    assert life.runtime.health() is None
    assert await probe.call(Probe.count) == Counted(2, 2)
    assert life.waits_for == []


# -- Sleep


@virtual
async def test_nothing_keeps_an_idle_object_awake(life: Life) -> None:
    """Neither an alarm that is set, nor a listener, nor calls that were sent and taken."""
    probe = await life.begin()
    events = probe.events()
    await probe.call(Probe.wake_at, life.loop.now_ms() + 3_600_000)
    await probe.call(Probe.ask_others, ["two", "one"], [1, 2])
    await probe.settle()
    await life.pass_time(2)
    assert life.waits_for == []
    await events.aclose()


@virtual
async def test_what_was_sent_is_taken_though_the_object_dies_at_once(life: Life) -> None:
    """No call comes that would wake it: its alarm does."""
    probe = await life.begin()
    life.storage.fails_after = 1  # the sender's commit, and none of a receiver
    await probe.call(Probe.ask_others, ["two"], [5])
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    life.storage.fails_after = None
    assert life.storage.alarm is not None
    await asyncio.sleep(120)
    await life.begin()
    await life.pass_time(0.1)
    assert (await life.probe("two").call(Probe.look)).total == 5


# -- Alarms


@virtual
async def test_an_alarm_is_set_only_when_it_is_earlier_than_the_one_that_is_set(life: Life) -> None:
    probe = await life.begin()
    start = life.loop.now_ms()
    for later in (60_000, 90_000, 70_000, 61_000):
        await probe.call(Probe.wake_at, start + later)
        await life.pass_time(1)
    assert life.alarms() == (1, start + 60_000)
    await probe.call(Probe.wake_at, start + 30_000)
    await life.probe("two").call(Probe.wake_at, start + 45_000)
    assert life.alarms() == (2, start + 30_000)
    assert life.runtime.meter.alarms_set == 2


@virtual
async def test_an_alarm_that_comes_too_early_sets_the_next_one(life: Life) -> None:
    probe = await life.begin()
    start = life.loop.now_ms()
    await probe.call(Probe.wake_at, start + 60_000)
    await probe.call(Probe.wake_at, start + 90_000)
    await life.pass_time(60.5)
    assert await probe.call(Probe.look) == Counted(2, 0)
    assert life.alarms() == (2, start + 90_000)
    await life.pass_time(30)
    assert await probe.call(Probe.look) == Counted(3, 1)
    assert life.alarms() == (2, None)
    assert (life.runtime.meter.alarm_calls, life.runtime.meter.alarms) == (2, 1)


@virtual
async def test_a_cleared_alarm_is_not_set_again(life: Life) -> None:
    probe = await life.begin()
    await probe.call(Probe.wake_at, life.loop.now_ms() + 60_000)
    await probe.call(Probe.wake_at, None)
    await life.pass_time(120)
    assert life.alarms() == (1, None)
    assert await probe.call(Probe.look) == Counted(2, 0)


@virtual
async def test_a_new_life_knows_which_alarm_is_set(life: Life) -> None:
    probe = await life.begin()
    start = life.loop.now_ms()
    await probe.call(Probe.wake_at, start + 60_000)
    probe = await life.begin()
    await probe.call(Probe.wake_at, start + 61_000)
    assert life.storage.alarms_set == 1
    await life.pass_time(62)
    assert await probe.call(Probe.look) == Counted(3, 1)


@virtual
async def test_an_alarm_returns_when_what_it_did_is_durable_however_many_are_due(life: Life) -> None:
    """Cloudflare calls it again if the object dies before."""
    await life.begin()
    at = life.loop.now_ms() + 1_000
    names = [f"{n}" for n in range(3 * MAX_ALARMS_PER_TURN + 1)]
    await asyncio.gather(*(life.probe(name).call(Probe.wake_at, at) for name in names))
    await life.pass_time(1)
    await life.begin()
    for name in names:
        assert await life.probe(name).call(Probe.look) == Counted(2, 1)


@virtual
async def test_an_alarm_whose_commit_fails_is_tried_again(life: Life) -> None:
    probe = await life.begin()
    await probe.call(Probe.wake_at, life.loop.now_ms() + 1_000)
    life.storage.fails_after = 0
    await life.pass_time(1.2)
    assert life.storage.alarm is not None
    life.storage.fails_after = None
    await life.pass_time(10)
    assert await probe.call(Probe.look) == Counted(2, 1)
    assert life.waits_for == []
