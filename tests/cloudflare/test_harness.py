"""The harness runs Python Durable Objects on workerd as Cloudflare does: storage, calls, alarms, sockets that hibernate."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client as websockets
from bundle import bundle
from project import read
from workerd import Workerd, WorkerdFailed

from servers import DEADLINE_SECONDS, until

PROBE = Path(__file__).with_name("probe")


def probe(folder: Path) -> Workerd:
    return Workerd(read(PROBE).config(bundle(), folder), folder)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Workerd]:
    with probe(tmp_path) as started:
        yield started


def worker(folder: Path, source: str, *, ready_seconds: float = DEADLINE_SECONDS) -> Workerd:
    """A worker without objects, whose ``main.py`` ends with ``source``."""
    (folder / "src").mkdir()
    (folder / "src/main.py").write_text(f"from workers import Response, WorkerEntrypoint\n{source}")
    (folder / "wrangler.jsonc").write_text('{"compatibility_date": "2026-09-08"}')
    return Workerd(read(folder).config(bundle(), folder), folder, ready_seconds=ready_seconds)


def call(served: Workerd, *call: Any) -> Any:
    """The result of a method, which is called over RPC."""
    status, answer = served.request("POST", "/", json.dumps(call).encode())
    assert status == 200, answer
    return json.loads(answer)


def test_rows_outlive_a_kill_and_memory_does_not(tmp_path: Path) -> None:
    with probe(tmp_path) as first:
        assert [call(first, "add", "one", 2), call(first, "add", "one", 3), call(first, "seen")] == [2, 5, 2]
        first.kill()
    with probe(tmp_path) as second:
        assert [call(second, "count", "one"), call(second, "seen")] == [5, 0]


def test_a_transaction_that_fails_leaves_nothing(served: Workerd) -> None:
    assert call(served, "add", "one") == 1
    assert call(served, "rolled_back", "one") == 1
    assert call(served, "count", "one") == 1


def test_bytes_go_through_calls_and_storage(served: Workerd) -> None:
    assert call(served, "kept", "Grüße \0") == "Grüße \0"


def test_what_a_method_raises_reaches_its_caller(served: Workerd) -> None:
    status, answer = served.request("POST", "/", json.dumps(["fails"]).encode())
    assert (status, b"LookupError: nothing there" in answer) == (500, True)


def test_a_request_and_its_variables_reach_the_object(served: Workerd) -> None:
    assert served.request("GET", "/here?and=there") == (200, f"https://hello {served.url}/here?and=there".encode())


def test_an_alarm_that_was_set_before_a_kill_fires_after_it(tmp_path: Path) -> None:
    with probe(tmp_path) as first:
        call(first, "arm", 500)
        first.kill()
    with probe(tmp_path) as second:
        until(lambda: call(second, "count", "alarms"), "the alarm", every=0.1)
        assert call(second, "count", "alarms") == 1


def test_a_socket_outlives_the_memory_of_its_object(served: Workerd) -> None:
    """workerd drops an object's memory after ten idle seconds. Then the instance is another one, the socket the same."""
    with websockets.connect(served.url.replace("http", "ws")) as socket:

        def says() -> str:
            socket.send("hello")
            return str(socket.recv(DEADLINE_SECONDS))

        assert [says(), says()] == ["hello 1 1", "hello 2 2"]
        said = until(lambda: text if (text := says()).endswith(" 1") else None, "an instance without memory", every=12)
        assert int(said.split()[1]) > 2
    until(lambda: call(served, "count", "closed 1000"), "the end of the socket")


THIRD_TIME = """
asked = 0

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        global asked
        asked += 1
        if asked < 3:
            raise LookupError("not yet")
        return Response(str(asked))
"""


def test_a_worker_whose_first_answers_are_errors_is_asked_again(tmp_path: Path) -> None:
    with worker(tmp_path, THIRD_TIME) as served:
        assert served.request("GET", "/") == (200, b"4")


def test_the_last_answer_of_a_worker_that_is_never_ready_is_named(tmp_path: Path) -> None:
    never = worker(tmp_path, THIRD_TIME, ready_seconds=0)
    with pytest.raises(WorkerdFailed, match=r"^workerd has run for 0 s, and answers GET / with 500$"), never:
        pass
    assert not never.is_running


@pytest.mark.parametrize(
    "source", ["import os; os.urandom(1)", "import js; js.setTimeout(print, 1)", "raise LookupError"], ids=lambda source: source
)
def test_what_cannot_be_done_at_import_on_cloudflare_fails_the_start(tmp_path: Path, source: str) -> None:
    with pytest.raises(WorkerdFailed, match=r"^workerd has ended before it was ready"), worker(tmp_path, source):
        pass
