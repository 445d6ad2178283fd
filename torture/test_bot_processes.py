"""Several bots as processes: each message is answered exactly once (P3, P4)."""

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from provider import Provider

from conftest import StartServer
from servers import SWW, Server, environment, until

MESSAGES = 500
LEASE_SECONDS = 30
PATIENT = {"model_idle_seconds": 600, "model_seconds": 600}
"""Settings of bots whose models are held up for longer than a lease."""


@contextmanager
def bot(server: Server, directory: Path, worker: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A ``sww bot`` process until the end of the block; its log is ``directory/worker``."""
    with (directory / worker).open("wb") as log:
        command = [str(SWW), "bot", "--url", server.url, "--worker-id", worker, *more]
        process = subprocess.Popen(command, cwd=directory, env=environment(**PATIENT), stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def post(server: Server, text: str, entity: str = "zen") -> str:
    body = {"text": text, "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
    return str(server.http.post("/api/comments", json=body).raise_for_status().json()["id"])


def wall(server: Server) -> list[dict[str, Any]]:
    return list(server.http.get("/api/comments").json())


def backlog(server: Server) -> int:
    return int(server.http.get("/api/stats").json()["backlog"])


def test_p4_two_bots_answer_five_hundred_messages_once(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(retention=2 * MESSAGES)
    with ExitStack() as stack:
        for worker in ("one", "two"):
            stack.enter_context(bot(server, tmp_path, worker, "--entity", "zen"))
        asked = [post(server, f"question {number}") for number in range(MESSAGES)]
        until(lambda: backlog(server) == 0, "an answer to everything")
    assert Counter(message["replyTo"] for message in wall(server) if message["messageType"] == "AI") == Counter(asked)


def test_p4_a_bot_for_150_entities_that_were_all_just_asked_answers_the_next_at_once(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Each then has its own long poll, and no answer waits behind all those connections."""
    server = start_server(retention=2 * MESSAGES)
    names = [f"zen-{number}" for number in range(150)]
    file = tmp_path / "entities.toml"
    tables = (f'[{name}]\ndisplay_name = "Zen"\ncolor = "070140180"\nmodel = "nltk:zen"\n' for name in names)
    file.write_text("".join(tables))
    with bot(server, tmp_path, "many", "--entities", str(file)):
        asked = []
        for name in [*names, names[0]]:
            asked.append(post(server, "Are you there?", name))
            until(lambda: backlog(server) == 0, "the answer")
    messages = wall(server)
    assert Counter(message["replyTo"] for message in messages if message["messageType"] == "AI") == Counter(asked)
    assert {message["botParams"]["attempt"] for message in messages if message["messageType"] == "human"} == {1}


def test_p3_a_bot_that_was_paused_past_its_lease_does_not_answer(start_server: StartServer, tmp_path: Path) -> None:
    """It is paused while its model thinks; another bot holds the message when it comes back."""
    server = start_server(lease_seconds=LEASE_SECONDS)
    late, holder = "the late answer", "the holder's answer"
    with Provider() as provider, ExitStack() as stack:

        def start(worker: str, model: str) -> subprocess.Popen[bytes]:
            provider.gates[model] = Event()
            file = tmp_path / f"{worker}.toml"
            lines = ["[zen]", 'display_name = "Zen"', 'color = "070140180"']
            file.write_text("\n".join([*lines, f'model = "{model}"', f'base_url = "{provider.base_url}"']))
            return stack.enter_context(bot(server, tmp_path, worker, "--entities", str(file)))

        first = start("first", late)
        asked = post(server, "Who answers?")
        until(lambda: provider.requests[late], "the first bot's question")
        first.send_signal(signal.SIGSTOP)
        start("second", holder)
        until(lambda: provider.requests[holder], "the second bot's question")
        provider.gates[late].set()
        first.send_signal(signal.SIGCONT)
        until(lambda: re.search("no longer holds|answered", (tmp_path / "first").read_text()), "the end of the first")
        provider.gates[holder].set()
        until(lambda: backlog(server) == 0, "the answer")
    assert [message["text"] for message in wall(server) if message["replyTo"] == asked] == [holder]
