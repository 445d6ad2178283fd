"""``sww bot`` as a process: signals, exits and kills (P4)."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from provider import TEXT, Provider

from servers import SWW, Server, environment, until

KEY = "sk-test-0123456789-never-to-be-seen"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as started:
        yield started


class BotProcess:
    """The process, and what it has written to standard error."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def bot(server: Server, directory: Path, entities: str) -> Iterator[BotProcess]:
    """A bot for the entities of this file until the end of the block."""
    file, log = directory / "entities.toml", directory / "log"
    file.write_text(entities)
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [str(SWW), "bot", "--url", server.url, "--entities", str(file), "--worker-id", "probe-bot"],
            cwd=directory,
            env=environment() | {"OPENAI_API_KEY": KEY},
            stderr=stderr,
        )
    try:
        yield BotProcess(process, log)
    finally:
        process.kill()
        process.wait()


def entity(name: str, model: str, provider: Provider) -> str:
    url = provider.base_url
    return f'[{name}]\ndisplay_name = "Probe"\ncolor = "070140180"\nmodel = "{model}"\nbase_url = "{url}"\n'


def post(server: Server, entity: str) -> str:
    body = {"text": "Are you there?", "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
    return str(server.http.post("/api/comments", json=body).raise_for_status().json()["id"])


def params(server: Server, message_id: str) -> dict[str, Any]:
    (message,) = [message for message in server.http.get("/api/comments").json() if message["id"] == message_id]
    return dict(message["botParams"])


def queue(server: Server, directory: Path) -> str:
    """The output of ``sww queue``."""
    command = [str(SWW), "queue", "--url", server.url, "--limit", "100"]
    return subprocess.run(command, env=environment(), cwd=directory, capture_output=True, text=True, check=True).stdout


def test_p4_a_bot_answers_once_with_a_key_that_it_never_shows(server: Server, tmp_path: Path, provider: Provider) -> None:
    with bot(server, tmp_path, entity("answers", "good", provider)) as started:
        posted = post(server, "answers")
        until(lambda: params(server, posted)["status"] == "complete", "the answer")
        until(lambda: f"message={posted}" in started.log, "the log of it")
    replies = [message["text"] for message in server.http.get("/api/comments").json() if message["replyTo"] == posted]
    assert replies == [TEXT]
    assert provider.authorizations == {f"Bearer {KEY}"}
    assert KEY not in started.log


def test_p4_a_dead_provider_is_shown_by_sww_queue(server: Server, tmp_path: Path, provider: Provider) -> None:
    """Its address too, which the public reason leaves out."""
    with bot(server, tmp_path, entity("dead", "cuts", provider)) as started:
        failed = post(server, "dead")
        until(lambda: params(server, failed)["error"], "a reason")
        post(server, "dead")
        post(server, "dead")
        until(lambda: "circuit open" in started.log, "the open circuit")
        shown = until(lambda: _with(queue(server, tmp_path), "circuit open"), "the circuit")
    (line,) = [line for line in shown.splitlines() if line.startswith("circuit open")]
    assert re.search(rf"probe-bot .*{re.escape(provider.base_url)} .*dead.* \d+ s", line), line
    assert "Traceback" not in started.log
    assert provider.base_url in started.log
    assert provider.base_url not in str(server.http.get("/api/comments").json())


def _with(text: str, words: str) -> str:
    return text if words in text else ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: str(number.name))
def test_p4_a_stopped_bot_gives_back_what_it_holds_and_exits(
    server: Server, tmp_path: Path, provider: Provider, number: signal.Signals
) -> None:
    """Its model hangs. A service manager may send SIGTERM again and again, until the very end of the process."""
    name = f"hangs-{number.name.lower()}"
    with bot(server, tmp_path, entity(name, "hangs", provider)) as started:
        held = post(server, name)
        until(lambda: params(server, held)["status"] == "processing", "the claim")
        started.process.send_signal(number)

        def ended() -> bool:
            if number == signal.SIGTERM:
                started.process.send_signal(number)
            return started.process.poll() is not None

        until(ended, "the end of the bot", every=0.002)
        assert started.process.returncode == 0
    given_back = params(server, held)
    assert (given_back["status"], given_back["attempt"], given_back["tries"]) == ("pending", 1, 0)


def test_a_dry_run_prints_the_request_and_the_answer_and_changes_nothing(
    server: Server, tmp_path: Path, provider: Provider
) -> None:
    (tmp_path / "entities.toml").write_text(entity("dry", "good", provider) + "top_k = 40\n")
    body = {"text": "My name is Ada.", "username": "Ada", "color": "169080199", "botParams": {"entity": "dry"}}
    first = server.http.post("/api/comments", json=body).raise_for_status().json()["id"]
    claim = {"messageId": first, "workerId": "probe-bot"}
    server.http.post("/api/queue/claim", json=claim).raise_for_status()
    reply = {"messageId": first, "workerId": "probe-bot", "attempt": 1, "reply": {"text": "Hello.", "username": "Probe"}}
    server.http.post("/api/queue/complete", json=reply).raise_for_status()
    second = server.http.post("/api/comments", json=body | {"text": "What is my name?"}).raise_for_status().json()["id"]
    command = [str(SWW), "bot", "--url", server.url, "--entities", "entities.toml", "--entity", "dry", "--dry-run"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment() | {"OPENAI_API_KEY": KEY}, capture_output=True, text=True, check=True
    )
    request, _, answer = done.stdout.rpartition("\n\n")
    assert answer == f"{TEXT}\n"
    printed = json.loads(request)
    assert [turn["content"] for turn in printed["messages"]] == ["My name is Ada.", "Hello.", "What is my name?"]
    assert (printed["model"], printed["top_k"]) == ("good", 40)
    assert KEY not in done.stdout + done.stderr
    assert params(server, second)["status"] == "pending"


def test_a_dry_run_whose_model_fails_shows_why(server: Server, tmp_path: Path, provider: Provider) -> None:
    (tmp_path / "entities.toml").write_text(entity("dry-refused", "refuses", provider))
    post(server, "dry-refused")
    command = [str(SWW), "bot", "--url", server.url, "--entities", "entities.toml", "--entity", "dry-refused", "--dry-run"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment() | {"OPENAI_API_KEY": KEY}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "refused with 401" in done.stderr
    assert "Traceback" not in done.stderr
    assert KEY not in done.stdout + done.stderr
