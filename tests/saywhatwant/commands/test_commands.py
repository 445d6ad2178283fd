"""``sww`` at the prompt: the names of section 6 of the specification, and what a person sees."""

import socket
import subprocess
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
    "queue": ["--url"],
    "stress": ["--url", "--tabs", "--messages", "--entity", "--timeout", "--chaos"],
}


def refused(done: subprocess.CompletedProcess[str], *told: str) -> None:
    """It ended with a line that says why, and with no traceback."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    for words in told:
        assert words in done.stderr


def ask(server: Server, text: str, entity: str | None = None) -> str:
    body = {"text": text, "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
    return str(server.http.post("/api/comments", json=body).raise_for_status().json()["id"])


def give_up(server: Server, message_id: str, error: str, worker: str = "worker-1") -> None:
    server.http.post("/api/queue/claim", json={"messageId": message_id, "workerId": worker}).raise_for_status()
    body = {"messageId": message_id, "workerId": worker, "attempt": 1, "error": error, "retry": False}
    server.http.post("/api/queue/fail", json=body).raise_for_status()


@pytest.mark.parametrize(("command", "options"), COMMANDS.items())
def test_p8_every_command_explains_itself(tmp_path: Path, command: str, options: list[str]) -> None:
    told = sww(tmp_path, command, "--help")
    assert told.returncode == 0
    for option in options:
        assert option in told.stdout


def test_p8_help_names_every_command_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    told = sww(tmp_path, "--help")
    assert told.returncode == 0
    for command in COMMANDS:
        assert command in told.stdout
    refused(sww(tmp_path, "fly"), "fly")


def test_p1_an_answer_appears_on_the_wall_and_again_after_sigkill_once(start_server: StartServer, tmp_path: Path) -> None:
    """``sww up``, ``sww post``, ``sww tail``: the whole of it."""
    server = start_server(command="up")
    with running(tmp_path, "tail", "--url", server.url) as tail:
        posted = sww(tmp_path, "post", QUESTION, "--url", server.url, "--entity", "zen")
        assert posted.returncode == 0
        message_id = posted.stdout.split()[-1]
        until(lambda: any(f"answers {message_id}" in line for line in tail.lines), "the answer in the tail")
        server.restart()
        again = sww(tmp_path, "post", "And now?", "--url", server.url, "--entity", "zen").stdout.split()[-1]
        until(lambda: any(f"answers {again}" in line for line in tail.lines), "the next answer in the same tail")
        for lines in (tail.lines, sww(tmp_path, "tail", "--url", server.url, "--no-follow").stdout.splitlines()):
            assert sum(QUESTION in line for line in lines) == 1
            assert sum(f"answers {message_id}" in line for line in lines) == 1
            assert sum(f"answers {again}" in line for line in lines) == 1


def test_p4_queue_shows_what_is_pending_and_what_failed_and_why(server: Server, tmp_path: Path) -> None:
    pending, failed = ask(server, "still waiting", "zen"), ask(server, "given up", "rude")
    give_up(server, failed, "out of words")
    shown = sww(tmp_path, "queue", "--url", server.url)
    assert shown.returncode == 0
    (pending_line,) = [line for line in shown.stdout.splitlines() if pending in line]
    (failed_line,) = [line for line in shown.stdout.splitlines() if failed in line]
    assert all(words in pending_line for words in ("pending", "zen", "still waiting"))
    assert all(words in failed_line for words in ("failed", "rude", "out of words", "worker-1", "given up"))


def test_p4_what_up_held_when_it_was_killed_is_given_back_at_its_start(start_server: StartServer) -> None:
    """Else it would be answered only when the lease of the dead process ends, a minute later."""
    server = start_server(command="up")
    worker = until(lambda: _content(server.data / "bot-id"), "the bot's id")
    held = ask(server, QUESTION, "not-served-here")
    claim = {"messageId": held, "workerId": worker}
    server.http.post("/api/queue/claim", json=claim).raise_for_status()
    server.restart()

    def params() -> dict[str, object]:
        (message,) = [message for message in server.http.get("/api/comments").json() if message["id"] == held]
        return dict(message["botParams"])

    until(lambda: params()["status"] == "pending", "the message's return")
    assert params()["error"] == "the worker was restarted"


def _content(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def test_p8_queue_shows_text_as_text(server: Server, tmp_path: Path) -> None:
    """What people and bots write is neither markup nor orders to the terminal."""
    message_id = ask(server, "[/b] [red]not red[/red]")
    give_up(server, message_id, "\x1b[2J[/reason]", worker="\x1b]0;title\x07[/worker]")
    shown = sww(tmp_path, "queue", "--url", server.url)
    assert shown.returncode == 0, shown.stderr
    (line,) = [line for line in shown.stdout.splitlines() if message_id in line]
    for words in ("[/b] [red]not red[/red]", "[/reason]", "[/worker]"):
        assert words in line
    assert "\x1b" not in shown.stdout


def test_p8_tail_shows_text_as_text(server: Server, tmp_path: Path) -> None:
    message_id = ask(server, "[/b]\nline two \u202eturned")
    shown = sww(tmp_path, "tail", "--url", server.url, "--no-follow", "-n", "200")
    assert shown.returncode == 0, shown.stderr
    (line,) = [line for line in shown.stdout.splitlines() if message_id in line]
    assert "[/b]⏎line two" in line
    assert "\u202e" not in line


def test_p8_port_0_picks_one_and_the_line_tells_it(start_server: StartServer) -> None:
    server = start_server()
    assert server.log.splitlines()[0] == f"ready on {server.url}"
    assert not server.url.endswith(":0")
    assert server.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("command", ["serve", "up"])
def test_p1_a_second_process_on_the_same_data_is_refused_and_told_of_the_first(
    server: Server, tmp_path: Path, command: str
) -> None:
    second = sww(tmp_path, command, "--bind", "127.0.0.1:0", "--data", str(server.data))
    refused(second, "in use by", f"process {server.pid}")
    assert "ready on" not in second.stderr
    assert server.http.get("/readyz").status_code == 200


def test_p8_an_address_that_is_taken_is_told(server: Server, tmp_path: Path) -> None:
    refused(sww(tmp_path, "serve", "--bind", server.url.removeprefix("http://")), "in use")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"retention": "none"}, ["SWW_RETENTION", "'none'", "1 to 1000000"]),
        ({"lease_seconds": 0}, ["SWW_LEASE_SECONDS", "'0'", "1 to 3600"]),
        ({"bind": "here"}, ["SWW_BIND", "'here'", "HOST:PORT"]),
        ({"topology": "mesh"}, ["SWW_TOPOLOGY", "'mesh'", "'single'"]),
        ({"open_entities": "perhaps"}, ["SWW_OPEN_ENTITIES", "'perhaps'", "true or false"]),
        ({"retenshun": 5}, ["SWW_RETENSHUN", "SWW_RETENTION"]),
    ],
    ids=["no number", "out of range", "no address", "no choice", "no truth", "unknown"],
)
def test_p8_a_wrong_setting_stops_the_start(tmp_path: Path, settings: dict[str, object], told: list[str]) -> None:
    refused(sww(tmp_path, "serve", **settings), *told)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("retention = 0\n", ["RETENTION", "0", "1 to 1000000"]),
        ("retenshun = 5\n", ["retenshun", "sww.toml", "retention"]),
        ("retention = = 5\n", ["sww.toml", "not TOML", "line 1"]),
    ],
    ids=["wrong value", "unknown key", "malformed"],
)
def test_p8_a_wrong_file_stops_the_start(tmp_path: Path, content: str, told: list[str]) -> None:
    (tmp_path / "sww.toml").write_text(content)
    refused(sww(tmp_path, "serve"), *told)
    assert not (tmp_path / "data").exists()


def test_p8_a_wrong_option_stops_the_start(tmp_path: Path) -> None:
    refused(sww(tmp_path, "serve", "--runtime", "quantum"), "quantum", "embedded")


@pytest.mark.parametrize("command", ["up", "bot"])
def test_p4_an_entity_that_is_not_there_stops_the_start(tmp_path: Path, command: str) -> None:
    """Else a server would run on with nobody to answer."""
    bind = ["--bind", "127.0.0.1:0"] if command == "up" else []
    refused(sww(tmp_path, command, "--entity", "nobody", *bind), "nobody", "zen")


def test_p8_data_that_can_not_be_a_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    refused(sww(tmp_path, "serve", "--bind", "127.0.0.1:0", "--data", "file"), "file")


def test_p8_a_post_that_is_refused_says_why(server: Server, tmp_path: Path) -> None:
    refused(sww(tmp_path, "post", QUESTION, "--url", server.url, "--color", "red"), "color", "nine digits")


def test_p8_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        refused(sww(tmp_path, "queue", "--url", url), url, "can not be reached")


@pytest.mark.parametrize(("command", "waiting"), [("serve", 1), ("up", 2)])
def test_p1_sigterm_ends_it_in_order_though_claims_wait(start_server: StartServer, command: str, waiting: int) -> None:
    server = start_server(command=command)
    ask(server, "last words", "somebody-else")
    body = b'{"workerId": "waiting", "entities": ["nobody-asks-me"], "wait": 60}'
    with socket.create_connection((server.http.base_url.host, server.http.base_url.port or 0), timeout=20) as client:
        client.sendall(b"POST /api/queue/claim HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        until(lambda: f"sww_waiting_claims {waiting}.0" in server.http.get("/metrics").text, "the waiting claims")
        assert server.terminate() == 0
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in server.log
    server.start()
    assert "last words" in [message["text"] for message in server.http.get("/api/comments").json()]
