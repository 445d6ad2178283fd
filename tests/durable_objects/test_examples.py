"""The examples run, print what they promise, and are small."""

import subprocess
import sys
from pathlib import Path

import chat_room
import job_scheduler
import pytest
import rate_limiter
from chat_room import KEPT_LINES, ChatRoom
from job_scheduler import Scheduler
from places import PLACES, Place, place_of, scenario
from rate_limiter import CAPACITY, REFILL_MS, RateLimiter

from durable_objects.simulated import SimulatedRuntime
from listening import listen

EXAMPLES = Path(chat_room.__file__).parent


def run_example(name: str, *arguments: object) -> list[str]:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_under_100_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 100


def test_the_chat_room_shows_lines_as_they_come_and_remembers_them(tmp_path: Path) -> None:
    now = ["now       Ada: Anybody here?", "now       Bob: Me."]
    refused = ["refused   a line has 1000 characters; 500 are allowed"]
    assert run_example("chat_room.py", tmp_path) == now + refused
    before = ["before    Ada: Anybody here?", "before    Bob: Me."]
    assert run_example("chat_room.py", tmp_path) == before + now + refused


def test_a_chat_room_keeps_its_last_lines() -> None:
    runtime = SimulatedRuntime()
    room = runtime.namespace("ChatRoom", ChatRoom).get("kitchen")
    for n in range(KEPT_LINES + 5):
        runtime.run(room.call(ChatRoom.say, "Ada", f"{n}"))
    runtime.crash()
    assert runtime.run(room.call(ChatRoom.last_lines, 1_000)) == [f"Ada: {n}" for n in range(5, KEPT_LINES + 5)]


def test_the_rate_limiter_refuses_a_client_beyond_its_rate_and_no_other() -> None:
    assert run_example("rate_limiter.py") == ["192.0.2.1 ok"] * 5 + ["192.0.2.1 wait"] * 2 + ["192.0.2.2 ok"]


def test_a_rate_limiter_refills_and_forgets_clients_that_stay_away() -> None:
    runtime = SimulatedRuntime()
    limiter = runtime.namespace("RateLimiter", RateLimiter).get("a")
    assert [runtime.run(limiter.call(RateLimiter.take)) for _ in range(CAPACITY + 1)] == [0] * CAPACITY + [REFILL_MS]
    runtime.advance(REFILL_MS / 1_000)
    runtime.crash()
    assert [runtime.run(limiter.call(RateLimiter.take)) for _ in range(2)] == [0, REFILL_MS]
    runtime.advance(CAPACITY * REFILL_MS / 1_000)
    assert runtime.disk.list("RateLimiter/a", "", "", 10) == []
    assert runtime.run(limiter.call(RateLimiter.take)) == 0


def test_the_job_scheduler_runs_jobs_in_order_after_a_restart(tmp_path: Path) -> None:
    running = ["running  backup", "running  cleanup", "running  report"]
    assert run_example("job_scheduler.py", tmp_path) == ["waiting  backup cleanup report", *running]


def test_a_job_that_is_not_done_stays_due_also_after_a_crash() -> None:
    runtime = SimulatedRuntime()
    scheduler = runtime.namespace("Scheduler", Scheduler).get("jobs")
    listener = listen(scheduler)
    runtime.run(scheduler.call(Scheduler.schedule, "backup", 1_000))
    runtime.run(scheduler.call(Scheduler.schedule, "report", 5_000))
    for seconds, due in ((1, ["backup"]), (4, ["backup", "report"])):
        runtime.advance(seconds)
        assert [job for _, job in runtime.run(scheduler.call(Scheduler.due))] == due
        assert listener.take() == [b"due"]
    runtime.crash()
    for key, _ in runtime.run(scheduler.call(Scheduler.due)):
        runtime.run(scheduler.call(Scheduler.done, key))
    assert runtime.run(scheduler.call(Scheduler.waiting)) == []


# -- On each runtime


@pytest.fixture(params=list(PLACES))
def place(request: pytest.FixtureRequest) -> Place:
    return place_of(request.param, request, ChatRoom, RateLimiter, Scheduler)


@scenario
async def on_one_runtime(place: Place) -> None:
    """All examples, one after another."""
    async with place.running() as runtime:
        await chat_room.main(runtime)
        await rate_limiter.main(runtime)
        await job_scheduler.schedule(runtime)
        place.advance(60 * 60)
    async with place.running() as runtime:
        await job_scheduler.work(runtime)
        await chat_room.main(runtime)


def test_every_example_runs_on_every_runtime(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    on_one_runtime(place)
    lines = capsys.readouterr().out.splitlines()
    talk = {"now       Ada: Anybody here?", "now       Bob: Me."}  # a network may carry calls in any order
    refused = "refused   a line has 1000 characters; 500 are allowed"
    assert ({*lines[:2]}, lines[2]) == (talk, refused)
    assert lines[3:11] == ["192.0.2.1 ok"] * 5 + ["192.0.2.1 wait"] * 2 + ["192.0.2.2 ok"]
    assert lines[11:15] == ["waiting  backup cleanup report", "running  backup", "running  cleanup", "running  report"]
    assert {line.replace("before", "now   ") for line in lines[15:17]} == {*lines[17:19]} == talk
    assert lines[19:] == [refused]
