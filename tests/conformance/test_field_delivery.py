"""What went wrong with delivery, queue and claims in the original, by the numbers in the notes of its operators.

Black box over HTTP. ``test_field_failures`` has the table of all failures.
"""

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from calls import Json, a_post, assert_problem, claim_next, metric, post, queue, read, said
from field_wall import FieldWall, Visitor, entities_toml, field_wall
from scripted_models import ScriptedModel
from scripted_server import ScriptedServer

from conftest import MakeServer, StartServer
from servers import SWW, Server, environment, until

TOKEN = "x" * 32
NAMES = ("probe", *(f"other-{number}" for number in range(5)))
GIVEN_BACK = 2
"""How many times a scaler stops the bot during one message."""


@contextmanager
def bot(server: Server, directory: Path, worker: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A ``sww bot`` until the end of the block; its log is ``directory/worker``."""
    with (directory / worker).open("wb") as log:
        command = [str(SWW), "bot", "--url", server.url, "--worker-id", worker, *more]
        process = subprocess.Popen(command, cwd=directory, env=environment(), stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_p4_failure_1_a_burst_of_160_from_thirty_tabs_is_seen_and_answered_once(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Two bots answer; at the end nothing is listed as pending."""
    server = start_server(command="up", retention=100_000)
    with bot(server, tmp_path, "second"):
        command = [str(SWW), "stress", "--url", server.url, "--tabs", "30", "--messages", "160", "--timeout", "600"]
        done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^160/160 delivered, 160/160 answered once, 0 doubled, 0 missed", done.stdout, re.MULTILINE)
    assert said(server.http.get("/api/queue/pending")) == []


@pytest.mark.needs("durability")
def test_p4_failure_2_a_bot_that_is_killed_and_started_again_answers_nothing_twice(
    tmp_path: Path, make_server: MakeServer
) -> None:
    with field_wall(tmp_path, make_server, {"probe": {"concurrency": 8}}) as wall:
        wall.models.scripts["probe"] = ScriptedModel("Yes.")
        visitor = Visitor(wall, "probe")
        asked = [visitor.post(f"Hello {number}") for number in range(50)]
        assert {wall.answer_to(message_id) for message_id in asked} == {"Yes."}
        wall.server.restart()
        asked.append(visitor.post("Hello again"))
        assert wall.answer_to(asked[-1]) == "Yes."
        answers = Counter(message["replyTo"] for message in read(wall.server) if message["messageType"] == "AI")
        assert answers == Counter(asked)
        assert wall.models.requests["probe"] == len(asked)


def test_p6_failure_5_no_work_is_lost_when_160_are_posted_at_once_and_20_are_kept(start_server: StartServer) -> None:
    server = start_server(retention=20, talk_retention=0)
    with ThreadPoolExecutor(16) as people:
        posted = list(people.map(lambda number: post(server, f"message {number}")["id"], range(160)))
    assert len(said(server.http.get("/api/queue/pending", params={"limit": 1_000}))) == 160
    answered: list[str] = []
    while held := claim_next(server, "one-hand"):
        (message,) = held
        complete = {"messageId": message["id"], "workerId": "one-hand", "attempt": 1, "reply": {"text": "Yes."}}
        assert said(queue(server, "complete", **complete))["id"]
        answered.append(message["id"])
    assert sorted(answered) == sorted(posted)
    assert said(server.http.get("/api/queue/pending")) == []


@pytest.mark.needs("memory")
def test_p4_failure_7_a_talk_of_long_messages_takes_posts_for_ever_and_each_costs_the_same(start_server: StartServer) -> None:
    """The original kept a talk in one value, which became too large; here no row grows, and what a claim brings is bounded."""
    server = start_server()
    text = "\N{ROLLING ON THE FLOOR LAUGHING}" * 5_000
    writes: set[float] = set()
    brought: list[int] = []
    for number in range(150):
        is_measured = number % 25 == 0
        before = metric(server, "sww_storage_writes_total") if is_measured else 0
        posted = post(server, text, entity="probe")["id"]
        if is_measured:
            writes.add(metric(server, "sww_storage_writes_total") - before)
        claimed = said(queue(server, "claim", workerId="bot", entities=["probe"], context=1_000 if is_measured else 0))
        if is_measured:
            brought.append(len(claimed["talks"][posted]["turns"]))
        said(queue(server, "complete", messageId=posted, workerId="bot", attempt=1, reply={"text": text}))
    assert brought[:2] == [0, 50], "all of a short talk"
    assert brought[2] > 50
    assert len(set(brought[2:])) == 1, "as much as the bound on bytes has room for"
    assert len(writes) == 1, "each post costs the same"


def test_p7_failure_9_the_same_post_twice_with_its_own_id_is_one_message(start_server: StartServer) -> None:
    """Also when both arrive at once."""
    server = start_server()
    body = a_post(id="k3j9x0a1b2c", botParams={"entity": "probe"})
    with ThreadPoolExecutor(8) as people:
        answers = list(people.map(lambda _: said(server.http.post("/api/comments", json=body)), range(8)))
    assert {answer["id"] for answer in answers} == {"k3j9x0a1b2c"}
    assert len({answer["timestamp"] for answer in answers}) == 1
    (message,) = read(server)
    assert message["id"] == "k3j9x0a1b2c"
    other = server.http.post("/api/comments", json=body | {"text": "Something else"})
    assert_problem(other, 422, "id")


@pytest.fixture(scope="module")
def wall(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FieldWall]:
    entities = {name: {"concurrency": 4} for name in NAMES}
    with field_wall(tmp_path_factory.mktemp("wall"), make_server, entities) as started:
        yield started


def test_p4_failure_13_an_entity_that_is_asked_answers_itself_while_others_are_busy(wall: FieldWall) -> None:
    """Their models answer nothing meanwhile."""
    wall.models.scripts["probe"] = ScriptedModel("Yes.")
    busy = Event()
    wall.models.gates.update(dict.fromkeys(NAMES[1:], busy))
    waiting = [Visitor(wall, name).post("Are you there?") for name in NAMES[1:] for _ in range(4)]
    asked = [Visitor(wall, "probe").post(f"Tab {number}") for number in range(6)]
    assert {wall.answer_to(message_id) for message_id in asked} == {"Yes."}
    assert {answer["username"] for message_id in asked for answer in wall.answers_to(message_id)} == {"Probe"}
    busy.set()
    for message_id in waiting:
        wall.answer_to(message_id)


def test_p8_failure_12_an_entity_that_is_unknown_here_is_refused_with_those_that_are_known(wall: FieldWall) -> None:
    body = a_post(botParams={"entity": "no-such-one"})
    assert_problem(wall.server.http.post("/api/comments", json=body), 422, "botParams.entity", "other-0")


def test_p6_failure_14_the_most_urgent_are_those_with_the_lowest_priority(start_server: StartServer) -> None:
    server = start_server(bot_token=TOKEN, most_urgent_priority=5)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for priority in (99, 5, 0):
        body = a_post(f"priority {priority}", botParams={"priority": priority})
        said(server.http.post("/api/comments", json=body, headers=headers))
    listed: list[Json] = said(server.http.get("/api/queue/pending", headers=headers))
    assert [message["text"] for message in listed] == ["priority 0", "priority 5", "priority 99"]
    assert_problem(server.http.post("/api/comments", json=a_post(botParams={"priority": 0})), 422, "priority")


@pytest.mark.one_deployment("a bot that is stopped releases what it holds")
def test_p4_failure_16_stops_of_the_bot_cost_a_message_no_attempt(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(lease_seconds=600, max_attempts=1, backoff_seconds=0.001)
    with ScriptedServer() as models:
        models.gates["probe"] = Event()
        file = tmp_path / "entities.toml"
        file.write_text(entities_toml(models.base_url, {"probe": {}}))
        posted = post(server, entity="probe")["id"]
        for stop in range(GIVEN_BACK):
            with bot(server, tmp_path, f"stopped-{stop}", "--entities", str(file)) as process:
                until(lambda stop=stop: models.requests["probe"] == stop + 1, "the request for an answer")  # type: ignore[misc]
                process.send_signal(signal.SIGTERM)
                process.wait()
            (given_back,) = read(server)
            assert (given_back["botParams"]["status"], given_back["botParams"]["tries"]) == ("pending", 0)
        models.gates["probe"].set()
        with bot(server, tmp_path, "last", "--entities", str(file)):
            until(lambda: read(server)[0]["replyTo"] == posted, "the answer")
    assert sum(message["messageType"] == "AI" for message in read(server)) == 1
