"""What a person reads when a start fails, and what a program reads of ``sww`` (P8)."""

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from terminal import sww

from conftest import StartServer
from servers import SWW, Server, environment

TOKEN = "0123456789abcdef"  # noqa: S105 - of a server that lives for one test


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """The one line with which it ended."""
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("command", ["serve", "up"])
def test_p8_an_address_that_is_taken_is_told_with_a_way_out(server: Server, tmp_path: Path, command: str) -> None:
    address = server.url.removeprefix("http://")
    assert last_words(sww(tmp_path, command, "--bind", address)) == (
        f"sww: SWW_BIND {address} is in use by another process; stop it or choose another port (--bind)"
    )


def test_p8_an_address_of_another_machine_is_told(tmp_path: Path) -> None:
    said = last_words(sww(tmp_path, "serve", "--bind", "192.0.2.1:8787", bot_token=TOKEN))
    assert said == "sww: SWW_BIND 192.0.2.1:8787 is not an address of this machine; choose another (--bind)"


def test_p1_where_data_and_address_are_taken_it_is_told_by_whom(server: Server, tmp_path: Path) -> None:
    again = sww(tmp_path, "serve", "--bind", server.url.removeprefix("http://"), "--data", str(server.data))
    assert f"is in use by process {server.pid}" in last_words(again)


@pytest.mark.parametrize(("data", "why"), [("file", "File exists"), ("/proc/nothing", "No such file or directory")])
def test_p8_data_that_can_not_be_written_is_told(tmp_path: Path, data: str, why: str) -> None:
    (tmp_path / "file").write_text("not a directory")
    said = last_words(sww(tmp_path, "serve", "--bind", "127.0.0.1:0", "--data", data))
    assert said == f"sww: SWW_DATA {data} is not a writable directory: {why}"


@pytest.mark.parametrize("options", [[], ["--limit", "3"]])
def test_p8_who_has_not_the_token_is_told_what_to_set(start_server: StartServer, tmp_path: Path, options: list[str]) -> None:
    server = start_server(bot_token=TOKEN)
    said = last_words(sww(tmp_path, "queue", "--url", server.url, *options, bot_token="another"))  # noqa: S106 - as TOKEN
    assert "bot token" in said
    assert "set SWW_BOT_TOKEN to the server's" in said


@pytest.mark.parametrize("option", ["--username", "--color", "--entity", "text"])
def test_p8_what_is_not_utf_8_is_refused_in_words(tmp_path: Path, option: str) -> None:
    words: list[str | bytes] = [b"\xff"] if option == "text" else ["Hello", option, b"\xff"]
    done = subprocess.run(
        [SWW, "post", *words], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode != 0
    assert f"Invalid value for '{option}': must be UTF-8" in done.stderr
    assert "Traceback" not in done.stderr


def test_queue_tells_a_program_all_of_a_message_in_one_line(server: Server, tmp_path: Path) -> None:
    body = {"text": "x" * 60, "username": "Human", "color": "169080199", "botParams": {"entity": "nobody"}}
    message_id = server.http.post("/api/comments", json=body).raise_for_status().json()["id"]
    server.http.post("/api/queue/claim", json={"messageId": message_id, "workerId": "one"}).raise_for_status()
    reason = "for many reasons, " * 50
    given_up = {"messageId": message_id, "workerId": "one", "attempt": 1, "error": reason, "retry": False}
    server.http.post("/api/queue/fail", json=given_up).raise_for_status()
    shown = sww(tmp_path, "queue", "--url", server.url)
    (line,) = [line for line in shown.stdout.splitlines() if message_id in line]
    assert reason.strip() in line
    assert "x" * 60 in line


def test_it_knows_its_version(tmp_path: Path) -> None:
    told = sww(tmp_path, "--version")
    assert (told.returncode, told.stdout.strip()) == (0, version("saywhatwant"))
