"""Objects of this package on workerd: each in a Durable Object of its own, with its disk, alarm, calls, sends and events."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import probe
import pytest
import websockets.sync.client as websockets
from bundle import bundle
from project import read
from workerd import Workerd

from durable_objects import Events
from durable_objects.exchange import EVENTS, SentEvents
from servers import DEADLINE_SECONDS, until

OBJECTS = Path(__file__).with_name("objects")


def objects(folder: Path) -> Workerd:
    files = [Path(probe.__file__)]
    return Workerd(read(OBJECTS).config(bundle(), folder, files=files), folder)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Workerd]:
    with objects(tmp_path) as started:
        yield started


def call(served: Workerd, name: str, method: str, *arguments: Any) -> Any:
    status, answer = served.request("POST", "/", json.dumps([name, method, *arguments]).encode())
    assert status == 200, answer
    return json.loads(answer)


def refused(served: Workerd, *request: Any) -> Any:
    status, answer = served.request("POST", "/", json.dumps(request).encode())
    assert status == 409, answer
    return json.loads(answer)


def test_p1_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    with objects(tmp_path) as first:
        assert [call(first, "one", "count", 5) for _ in range(3)] == [[1, 10], [2, 20], [3, 30]]
        assert call(first, "two", "count", 1) == [1, 2]
        assert call(first, "one", "keyed", "key", "count", 1) == [4, 32]
        first.kill()
    with objects(tmp_path) as second:
        assert call(second, "one", "keyed", "key", "count", 1) == [4, 32]
        assert [call(second, name, "look") for name in ("one", "two")] == [[4, 32], [1, 2]]
        assert call(
            second,
            "one",
            "entries",
            "change/",
        )[0] == ["change/000001", "MTA="]


def test_a_refusal_is_data_and_an_error_drops_the_calls_writes(served: Workerd) -> None:
    record = refused(served, "one", "refuse", "seat")
    assert (record["code"], record["fields"]) == ("occupied", {"key": "seat", "holders": 3})
    assert refused(served, "one", "count_and_fail")["code"] == "failed"
    assert call(served, "one", "look") == [0, 0]


def test_a_commit_writes_one_row_by_the_count_of_workerd(served: Workerd) -> None:
    call(served, "one", "count")
    commits, rows, _, alarms = call(served, "one", "counted")
    for _ in range(50):
        call(served, "one", "count")
    after = call(served, "one", "counted")
    assert (after[1] - rows, after[3] - alarms) == (after[0] - commits, 0)
    assert after[0] - commits == 50


def test_an_alarm_runs_though_workerd_is_killed_before_it(tmp_path: Path) -> None:
    with objects(tmp_path) as first:
        at = time.time_ns() // 1_000_000 + 2_000
        call(first, "one", "wake_at", at)
        first.kill()
    with objects(tmp_path) as second:
        until(lambda: call(second, "one", "look") == [2, 2], "the alarm", every=0.2)
        assert call(second, "one", "alarm_at") is None


def test_sent_calls_are_taken_once_and_in_order(served: Workerd) -> None:
    call(served, "one", "ask_others", ["two", "three", "one"], [1, 10])
    call(served, "one", "settle")
    for name in ("two", "three", "one"):
        assert call(served, name, "look")[1] == 22


def test_events_reach_a_worker_from_the_position_that_it_names(served: Workerd) -> None:
    for _ in range(3):
        call(served, "one", "count")
    assert [seq for seq, _ in call(served, "one", "events", 1, 2)] == [2, 3]


def test_a_socket_gets_every_event_once_though_the_object_forgets_all_in_between(served: Workerd) -> None:
    """workerd drops an object's memory after ten idle seconds."""
    call(served, "one", "count")
    listen = quote(json.dumps({"to": ["Probe", "one"], "since": 0}))
    got: list[Events] = []

    def receive() -> None:
        received = socket.recv(DEADLINE_SECONDS)
        assert isinstance(received, bytes)
        frame = EVENTS.decode(received)
        assert isinstance(frame, SentEvents)
        got.append(frame.events)

    with websockets.connect(f"{served.url.replace('http', 'ws')}/?listen={listen}") as socket:
        receive()
        call(served, "one", "count")
        receive()
        lives = until(lambda: call(served, "one", "counted")[0] == 0, "an instance without memory", every=12)
        assert lives
        call(served, "one", "count")
        receive()
    assert [events.seq for events in got] == [1, 2, 3]
