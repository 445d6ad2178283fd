"""What ``sww bot`` logs: one line for each event, and nothing that people wrote."""

import os
import re
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from terminal import Running, running

from servers import Server, until

STAMPED = re.compile(r"^\d\d:\d\d:\d\d \[(\w+) *\] ")
WRITTEN = "what somebody wrote"
PATCH = """
import saywhatwant.bot.loop as loop
import saywhatwant.models.chatbot as chatbot


def broken(*_):
    raise ZeroDivisionError("broken")


{target} = broken
"""


def bot(server: Server, directory: Path, *arguments: str) -> AbstractContextManager[Running]:
    return running(directory, "bot", "--url", server.url, *arguments, stream="stderr")


def break_(directory: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``target`` raise in every Python started from now on."""
    (directory / "sitecustomize.py").write_text(PATCH.format(target=target))
    monkeypatch.setenv("PYTHONPATH", str(directory), prepend=os.pathsep)


def post(server: Server, text: str = WRITTEN, entity: str = "zen") -> str:
    body = {"text": text, "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
    return str(server.http.post("/api/comments", json=body).raise_for_status().json()["id"])


def test_a_failed_message_is_logged_without_what_people_wrote(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_(tmp_path, "chatbot.answer", monkeypatch)
    with bot(server, tmp_path, "--entity", "zen") as started:
        posted = post(server)
        until(lambda: "ZeroDivisionError: broken" in started.lines, "the failure")
        (first,) = [line for line in started.lines if posted in line and "attempt=1" in line]
        assert STAMPED.findall(first) == ["error"]
        assert not any(WRITTEN in line for line in started.lines)
        assert len(started.lines) < 60


def test_a_bot_that_an_unexpected_error_ends_reports_it_in_one_line_and_its_status(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_(tmp_path, "loop.Bot._answer_forever", monkeypatch)
    with bot(server, tmp_path, "--entity", "zen") as started:
        assert started.process.wait() == 1
        assert started.lines[-1] == "sww: stopped by an unexpected error: ZeroDivisionError: broken"
        greeting, first, *_ = started.lines
        assert "answers for zen" in greeting
        assert STAMPED.findall(first) == ["error"]
        assert len(started.lines) < 60


def test_a_mistake_in_the_entities_file_is_a_line_like_any_other(server: Server, tmp_path: Path) -> None:
    entities_file = tmp_path / "entities.toml"
    entities_file.write_text('[ann]\ndisplay_name = "Ann"\ncolor = "070140180"\nmodel = "nltk:zen"\n')
    with bot(server, tmp_path, "--entities", str(entities_file)) as started:
        post(server, entity="ann")
        until(lambda: any("answered" in line for line in started.lines), "the answer")
        entities_file.write_text("[ann\n")
        post(server, entity="ann")
        until(lambda: any(str(entities_file) in line for line in started.lines), "the mistake")
        greeting, *others = started.lines
        assert "answers for ann" in greeting
        assert all(STAMPED.match(line) for line in others)
