"""What ``sww bot`` logs: one line an event, and of a failure what a person needs, without what people wrote."""

import os
import re
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from terminal import Running, running

from servers import Server, until

STAMPED = re.compile(r"^\d\d:\d\d:\d\d \[(\w+) *\] ")
WRITTEN = "what somebody wrote"
SPOILT = """
import saywhatwant.bot.loop as loop
import saywhatwant.models.chatbot as chatbot


def spoilt(*_):
    raise ZeroDivisionError("spoilt")


{target} = spoilt
"""


def bot(server: Server, directory: Path, *arguments: str) -> AbstractContextManager[Running]:
    return running(directory, "bot", "--url", server.url, *arguments, stream="stderr")


def spoil(directory: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have that raise in every Python started from now on."""
    (directory / "sitecustomize.py").write_text(SPOILT.format(target=target))
    monkeypatch.setenv("PYTHONPATH", str(directory), prepend=os.pathsep)


def ask(server: Server, text: str = WRITTEN, entity: str = "zen") -> str:
    body = {"text": text, "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
    return str(server.http.post("/api/comments", json=body).raise_for_status().json()["id"])


def test_a_failed_message_is_logged_without_what_people_wrote(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(tmp_path, "chatbot.answer", monkeypatch)
    with bot(server, tmp_path, "--entity", "zen") as at_work:
        asked = ask(server)
        until(lambda: "ZeroDivisionError: spoilt" in at_work.lines, "the failure")
        (first,) = [line for line in at_work.lines if asked in line and "attempt=1" in line]
        assert STAMPED.findall(first) == ["error"]
        assert not any(WRITTEN in line for line in at_work.lines)
        assert len(at_work.lines) < 60


def test_a_bot_that_something_unexpected_ends_says_so_in_one_line_and_with_its_status(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(tmp_path, "loop.Bot._claim_for_ever", monkeypatch)
    with bot(server, tmp_path, "--entity", "zen") as at_work:
        assert at_work.process.wait(timeout=20) == 1
        assert at_work.lines[-1] == "sww: stopped by an unexpected error: ZeroDivisionError: spoilt"
        assert STAMPED.findall(at_work.lines[0]) == ["error"]
        assert len(at_work.lines) < 60


def test_a_mistake_in_the_entities_file_is_a_line_like_any_other(server: Server, tmp_path: Path) -> None:
    cast = tmp_path / "cast.toml"
    cast.write_text('[ann]\ndisplay_name = "Ann"\ncolor = "070140180"\nmodel = "nltk:zen"\n')
    with bot(server, tmp_path, "--entities", str(cast)) as at_work:
        ask(server, entity="ann")
        until(lambda: at_work.lines, "the answer")
        cast.write_text("[ann\n")
        ask(server, entity="ann")
        until(lambda: any(str(cast) in line for line in at_work.lines), "the mistake")
        assert all(STAMPED.match(line) for line in at_work.lines)
