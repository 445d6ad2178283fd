"""``sww`` at the prompt: its names, options and output."""

import signal
import socket
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from terminal import running, sww

from conftest import StartServer
from servers import Server, until

QUESTION = "Why is space black?"
COMMANDS = {
    "serve": ["--bind", "--data", "--runtime"],
    "up": ["--bind", "--data", "--runtime"],
    "bot": ["--url", "--entity", "--worker-id"],
    "post": ["--url", "--entity"],
    "tail": ["--url"],
    "queue": ["--url", "--limit", "--json", "retry", "fail", "discard"],
    "cost": ["--scenario", "--from-stats", "--json", "--svg"],
    "stress": ["--url", "--tabs", "--messages", "--entity", "--timeout", "--chaos"],
}


def post(server: Server, text: str, entity: str | None = None) -> str:
    body = {"text": text, "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
    return str(server.http.post("/api/comments", json=body).raise_for_status().json()["id"])


def fail(server: Server, message_id: str, error: str, worker: str = "worker-1") -> None:
    server.http.post("/api/queue/claim", json={"messageId": message_id, "workerId": worker}).raise_for_status()
    body = {"messageId": message_id, "workerId": worker, "attempt": 1, "error": error, "retry": False}
    server.http.post("/api/queue/fail", json=body).raise_for_status()


@pytest.mark.parametrize(("command", "options"), COMMANDS.items())
def test_p8_every_command_explains_itself(tmp_path: Path, command: str, options: list[str]) -> None:
    done = sww(tmp_path, command, "--help")
    assert done.status == 0
    assert [option for option in options if option not in done.stdout] == []


def test_p8_help_names_every_command(tmp_path: Path) -> None:
    done = sww(tmp_path, "--help")
    assert done.status == 0
    assert [command for command in COMMANDS if f"  {command} " not in done.stdout] == []


def test_it_prints_its_version(tmp_path: Path) -> None:
    with running(tmp_path, "--version") as started:
        assert started.process.wait() == 0
        assert started.lines == [version("saywhatwant")]


def test_p1_an_answer_appears_on_the_wall_and_again_after_sigkill_once(start_server: StartServer, tmp_path: Path) -> None:
    """``sww up``, ``sww post`` and ``sww tail`` together."""
    server = start_server(command="up")
    with running(tmp_path, "tail", "--url", server.url) as tail:
        posted = sww(tmp_path, "post", QUESTION, "--url", server.url, "--entity", "zen")
        assert posted.status == 0
        message_id = posted.stdout.split()[-1]
        until(lambda: any(f"answers {message_id}" in line for line in tail.lines), "the answer in the tail")
        server.restart()
        again = sww(tmp_path, "post", "And now?", "--url", server.url, "--entity", "zen").stdout.split()[-1]
        until(lambda: any(f"answers {again}" in line for line in tail.lines), "the next answer in the same tail")
        for lines in (tail.lines, sww(tmp_path, "tail", "--url", server.url, "--no-follow").stdout.splitlines()):
            assert sum(QUESTION in line for line in lines) == 1
            assert sum(f"answers {message_id}" in line for line in lines) == 1
            assert sum(f"answers {again}" in line for line in lines) == 1


def test_p4_what_up_held_when_it_was_killed_is_given_back_at_its_start(start_server: StartServer) -> None:
    """Otherwise it would wait until the lease of the dead process ends, a minute later."""
    server = start_server(command="up")
    worker = until(lambda: _content(server.data / "bot-id"), "the bot's id")
    held = post(server, QUESTION, "not-served-here")
    claim = {"messageId": held, "workerId": worker}
    server.http.post("/api/queue/claim", json=claim).raise_for_status()
    server.restart()

    def params() -> dict[str, object]:
        (message,) = [message for message in server.http.get("/api/comments").json() if message["id"] == held]
        return dict(message["botParams"])

    until(lambda: params()["status"] == "pending", "the message's return")
    assert (params()["attempt"], params()["tries"]) == (1, 0)


def _content(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def test_p4_queue_shows_what_is_pending_and_what_failed_and_why(server: Server, tmp_path: Path) -> None:
    pending, failed = post(server, "still waiting", "zen"), post(server, "given up", "rude")
    fail(server, failed, "out of words")
    shown = sww(tmp_path, "queue", "--url", server.url)
    assert shown.status == 0
    (pending_line,) = [line for line in shown.stdout.splitlines() if pending in line]
    (failed_line,) = [line for line in shown.stdout.splitlines() if failed in line]
    assert all(words in pending_line for words in ("pending", "zen", "still waiting"))
    assert all(words in failed_line for words in ("failed", "rude", "out of words", "worker-1", "given up"))


def test_queue_gives_a_program_all_of_a_message_in_one_line(server: Server, tmp_path: Path) -> None:
    message_id = post(server, "x" * 60, "nobody")
    reason = "for many reasons, " * 50
    fail(server, message_id, reason)
    shown = sww(tmp_path, "queue", "--url", server.url)
    (line,) = [line for line in shown.stdout.splitlines() if message_id in line]
    assert reason.strip() in line
    assert "x" * 60 in line


def test_p8_queue_shows_text_as_text(server: Server, tmp_path: Path) -> None:
    """What people and bots write is neither markup nor escape codes for the terminal."""
    message_id = post(server, "[/b] [red]not red[/red]")
    fail(server, message_id, "\x1b[2J[/reason]", worker="\x1b]0;title\x07[/worker]")
    shown = sww(tmp_path, "queue", "--url", server.url)
    assert shown.status == 0, shown.stderr
    (line,) = [line for line in shown.stdout.splitlines() if message_id in line]
    for words in ("[/b] [red]not red[/red]", "[/reason]", "[/worker]"):
        assert words in line
    assert "\x1b" not in shown.stdout


def test_p8_tail_shows_text_as_text(server: Server, tmp_path: Path) -> None:
    message_id = post(server, "[/b]\nline two \u202eturned")
    shown = sww(tmp_path, "tail", "--url", server.url, "--no-follow", "-n", "200")
    assert shown.status == 0, shown.stderr
    (line,) = [line for line in shown.stdout.splitlines() if message_id in line]
    assert "[/b]⏎line two" in line
    assert "\u202e" not in line


def test_a_post_to_everyone_wants_no_answer_and_the_tail_shows_it(server: Server, tmp_path: Path) -> None:
    posted = sww(tmp_path, "post", "Hello, all", "--no-answer", "--url", server.url)
    assert posted.status == 0, posted.stderr
    lines = sww(tmp_path, "tail", "--url", server.url, "--no-follow").stdout.splitlines()
    (line,) = [line for line in lines if posted.stdout.split()[-1] in line]
    assert "Human to everyone Hello, all" in line
    both = sww(tmp_path, "post", "Hello", "--no-answer", "--entity", "zen", "--url", server.url)
    assert (both.status, "--entity asks for an answer" in both.stderr) == (2, True)


def test_p4_the_tail_shows_why_a_message_failed(server: Server, tmp_path: Path) -> None:
    message_id = post(server, "Why?", "zen")
    fail(server, message_id, "the model does not answer")
    lines = sww(tmp_path, "tail", "--url", server.url, "--no-follow").stdout.splitlines()
    assert [line.partition(message_id)[2] for line in lines if message_id in line] == [" failed: the model does not answer"]


def test_a_bot_that_starts_shows_its_name_its_entities_and_its_server(server: Server, tmp_path: Path) -> None:
    arguments = ("bot", "--url", server.url, "--worker-id", "gpu-1", "--entity", "zen")
    with running(tmp_path, *arguments, stream="stderr") as bot:
        until(lambda: bool(bot.lines), "the line of a bot that starts")
        assert bot.lines[0] == f"gpu-1 answers for zen at {server.url}. Ctrl-C stops."


def test_p8_port_0_picks_one_and_the_ready_line_names_it(start_server: StartServer) -> None:
    server = start_server()
    assert server.log.splitlines()[0] == f"ready on {server.url}"
    assert not server.url.endswith(":0")
    assert server.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("command", ["serve", "up"])
def test_sigterm_may_come_again_and_again(tmp_path: Path, command: str) -> None:
    """A service manager may repeat it until the very end of the process."""
    with running(tmp_path, command, "--bind", "127.0.0.1:0", stream="stderr") as started:
        until(lambda: any(line.startswith("ready on ") for line in started.lines), "the ready line")
        while started.process.poll() is None:
            started.process.send_signal(signal.SIGTERM)
            time.sleep(0.002)
        assert started.process.wait() == 0


@pytest.mark.parametrize(("command", "bots"), [("serve", 0), ("up", 1)])
def test_p1_sigterm_ends_it_in_order_though_claims_wait(start_server: StartServer, command: str, bots: int) -> None:
    server = start_server(command=command)
    post(server, "last words", "somebody-else")
    body = b'{"workerId": "waiting", "entities": ["nobody-asks-me"], "wait": 60}'
    with socket.create_connection((server.http.base_url.host, server.http.base_url.port or 0)) as client:
        client.sendall(b"POST /api/queue/claim HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        waiting = {"sww_waiting_claims 1.0", f"sww_bot_sockets {bots}.0"}
        until(lambda: waiting <= {*server.http.get("/metrics").text.splitlines()}, "the waiting claim, and the bot's socket")
        assert server.terminate() == 0
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in server.log
    server.start()
    assert "last words" in [message["text"] for message in server.http.get("/api/comments").json()]
