"""Several real bots beside each other: each message answered exactly once (P3, P4), and what is held is given back."""

import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from provider import Provider

from conftest import StartServer
from servers import SWW, Server, cpu_seconds, environment, until

MESSAGES = 500


@contextmanager
def bot(
    server: Server, directory: Path, worker: str, *more: str, entity: str | None = "zen"
) -> Iterator[subprocess.Popen[bytes]]:
    """A ``sww bot`` process until the end of the block; what it says is in ``directory/worker``."""
    with (directory / worker).open("wb") as said:
        command = [str(SWW), "bot", "--url", server.url, "--worker-id", worker, *more]
        command += ["--entity", entity] if entity else []
        process = subprocess.Popen(command, cwd=directory, env=environment(), stderr=said)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ask(server: Server, text: str, entity: str = "zen") -> str:
    body = {"text": text, "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
    return str(server.http.post("/api/comments", json=body).raise_for_status().json()["id"])


def params(server: Server, message_id: str) -> dict[str, Any]:
    (message,) = [message for message in server.http.get("/api/comments").json() if message["id"] == message_id]
    return dict(message["botParams"])


def test_p4_two_bots_with_one_entity_answer_each_message_exactly_once(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(retention=2 * MESSAGES)
    with ExitStack() as stack:
        for worker in ("one", "two"):
            stack.enter_context(bot(server, tmp_path, worker))
        asked = [ask(server, f"question {number}") for number in range(MESSAGES)]
        until(lambda: server.http.get("/api/stats").json()["backlog"] == 0, "an answer to everything", within=60)
    wall = server.http.get("/api/comments").json()
    assert Counter(message["replyTo"] for message in wall if message["messageType"] == "AI") == Counter(asked)
    by = Counter(message["botParams"]["claimedBy"] for message in wall if message["messageType"] == "human")
    assert by.keys() == {"one", "two"}


def test_an_answer_that_is_complete_at_once_is_not_announced(start_server: StartServer, tmp_path: Path) -> None:
    """A showing of it would come too late, and be refused."""
    server = start_server()
    with bot(server, tmp_path, "quick"):
        asked = [ask(server, f"question {number}") for number in range(20)]
        until(lambda: server.http.get("/api/stats").json()["backlog"] == 0, "an answer to everything")
    assert {params(server, message_id)["status"] for message_id in asked} == {"complete"}
    assert 'sww_http_requests_total{method="POST",route="/api/queue/progress"' not in server.http.get("/metrics").text


def test_p3_a_bot_that_was_stopped_past_its_lease_does_not_answer_for_the_one_that_holds_it(
    start_server: StartServer, tmp_path: Path
) -> None:
    assert _replies_when_a_stopped_bot_comes_back(start_server(lease_seconds=1), tmp_path) == ["the holder's answer"]


def test_p3_without_the_fence_it_would(start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the test above is known to look at the fence."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_FENCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert _replies_when_a_stopped_bot_comes_back(start_server(lease_seconds=1), tmp_path) == ["the late answer"]


WITHOUT_FENCE = """
from saywhatwant.queue import MessageQueue

MessageQueue._held_by = lambda self, message_id, worker_id, attempt, now: self._known(message_id)
"""


def _replies_when_a_stopped_bot_comes_back(server: Server, directory: Path) -> list[str]:
    """One bot is stopped while its model thinks; another gets the message, and still thinks when the first one comes back."""
    late, holder = "the late answer", "the holder's answer"
    with Provider() as provider, ExitStack() as stack:

        def start(worker: str, model: str) -> subprocess.Popen[bytes]:
            provider.gates[model] = Event()
            cast = directory / f"{worker}.toml"
            cast.write_text(
                f'[zen]\ndisplay_name = "Zen"\ncolor = "070140180"\nmodel = "{model}"\nbase_url = "{provider.base_url}"\n'
            )
            return stack.enter_context(bot(server, directory, worker, "--entities", str(cast)))

        first = start("first", late)
        asked = ask(server, "Who answers?")
        until(lambda: provider.requests[late], "the first bot's question")
        first.send_signal(signal.SIGSTOP)
        start("second", holder)
        until(lambda: provider.requests[holder], "the second bot's question")
        provider.gates[late].set()
        first.send_signal(signal.SIGCONT)
        until(lambda: re.search("dropped|answered", (directory / "first").read_text()), "the end of the first")
        provider.gates[holder].set()
        until(lambda: params(server, asked)["status"] == "complete", "the answer")
    wall = server.http.get("/api/comments").json()
    return [message["text"] for message in wall if message["replyTo"] == asked]


def test_an_idle_bot_asks_at_most_once_in_a_long_poll_and_takes_next_to_no_time(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Counted over some seconds: the first claim is the only one."""
    server = start_server()
    with bot(server, tmp_path, "idle") as process:
        until(lambda: "sww_waiting_claims 1.0" in server.http.get("/metrics").text, "the waiting bot")
        before = cpu_seconds(process.pid)
        time.sleep(5)
        assert cpu_seconds(process.pid) - before < 0.05, "1 % of a core"
        claims = 'sww_http_requests_total{method="POST",route="/api/queue/claim"'
        assert claims not in server.http.get("/metrics").text, "no claim has returned, so no second one was made"


@contextmanager
def bot_that_holds_a_message(server: Server, directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process, and the message, which its model will not answer: it hangs."""
    cast = directory / "cast.toml"
    with _deaf_provider() as url:
        cast.write_text(f'[zen]\ndisplay_name = "Zen"\ncolor = "070140180"\nmodel = "deaf"\nbase_url = "{url}"\n')
        with bot(server, directory, "stopped", "--entities", str(cast)) as process:
            held = ask(server, "Are you there?")
            until(lambda: params(server, held)["status"] == "processing", "the claim")
            yield process, held


@pytest.mark.parametrize("times", [1, 2], ids=["asked once", "asked twice"])
def test_p4_a_stopped_bot_gives_back_at_once_what_it_can_not_finish(
    start_server: StartServer, tmp_path: Path, times: int
) -> None:
    """Its model hangs; on SIGTERM the message goes back to the queue long before its lease ends."""
    server = start_server()
    with bot_that_holds_a_message(server, tmp_path) as (process, held):
        for _ in range(times):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        assert process.wait(timeout=20) == 0
    given_back = params(server, held)
    assert given_back["status"] == "pending"
    assert given_back["error"] == "the worker was stopped"


def test_a_bot_whose_server_is_away_stops_before_it_is_killed(start_server: StartServer, tmp_path: Path) -> None:
    """Those who stop it wait ten seconds as a rule; it could try for half a minute to give back what it holds."""
    server = start_server()
    with bot_that_holds_a_message(server, tmp_path) as (process, _):
        server.kill()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_p4_a_bot_for_150_entities_that_were_all_just_asked_answers_the_next_question_at_once(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Each has a claim of its own then, and its answer must not wait behind all those claims."""
    server = start_server(retention=2 * MESSAGES)
    names = [f"zen-{number}" for number in range(150)]
    cast = tmp_path / "cast.toml"
    tables = (f'[{name}]\ndisplay_name = "Zen"\ncolor = "070140180"\nmodel = "nltk:zen"\n' for name in names)
    cast.write_text("".join(tables))
    with bot(server, tmp_path, "many", "--entities", str(cast), entity=None):
        until(lambda: _waiting_claims(server), "the waiting bot")
        asked = []
        for name in [*names, names[0]]:
            asked.append(ask(server, "Are you there?", entity=name))
            until(lambda: server.http.get("/api/stats").json()["backlog"] == 0, "the answer")
        wall = server.http.get("/api/comments", params={"limit": 1_000}).json()
        assert Counter(message["replyTo"] for message in wall if message["messageType"] == "AI") == Counter(asked)
        assert {message["botParams"]["attempt"] for message in wall if message["messageType"] == "human"} == {1}
        until(lambda: _waiting_claims(server) < 50, "few claims for all of them again")


def _waiting_claims(server: Server) -> float:
    (waiting,) = re.findall(r"^sww_waiting_claims (\S+)$", server.http.get("/metrics").text, re.MULTILINE)
    return float(waiting)


@contextmanager
def _deaf_provider() -> Iterator[str]:
    """Takes connections and says nothing."""

    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
