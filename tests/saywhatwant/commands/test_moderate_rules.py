"""``sww moderate``: an operator makes rules, reviews posts, looks after reports, and sees what was done (P8)."""

from pathlib import Path
from typing import Any

import pytest
from terminal import Done, sww

from conftest import StartServer
from servers import Server, until


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server()


def moderate(server: Server, directory: Path, *arguments: str) -> Done:
    return sww(directory, "moderate", "--url", server.url, *arguments)


def said(server: Server, directory: Path, *arguments: str) -> str:
    """What the command prints, without the spaces that fill its columns."""
    done = moderate(server, directory, *arguments)
    assert done.status == 0, done.stderr
    return "\n".join(line.rstrip() for line in done.stdout.splitlines())


def post(server: Server, directory: Path, text: str) -> str:
    done = sww(directory, "post", text, "--url", server.url, "--username", "Ada", "--color", "204120051")
    return (done.stdout + done.stderr).strip()


def texts(server: Server) -> list[str]:
    messages: list[Any] = server.http.get("/api/comments").raise_for_status().json()
    return [message["text"] for message in messages]


@pytest.mark.parametrize("who", [("Ada", "204120051"), ("127.0.0.1",)])
def test_p8_somebody_is_banned_and_may_post_again(server: Server, tmp_path: Path, who: tuple[str, ...]) -> None:
    banned = said(server, tmp_path, "ban", *who, "--for", "2h", "--reason", "insults")
    ban_id = banned.removeprefix("banned as ").split()[0]
    assert "no posts are taken" in post(server, tmp_path, "Why?")
    titles, shown = said(server, tmp_path, "bans").splitlines()
    assert titles.split() == ["ban", "who", "until", "by", "reason"]
    assert shown.startswith(ban_id)
    assert who[0] in shown
    assert shown.endswith("insults")
    assert said(server, tmp_path, "unban", ban_id) == f"ended {ban_id}"
    assert said(server, tmp_path, "bans") == "nobody is banned"
    assert post(server, tmp_path, "Why?").startswith("posted as ")


def test_p7_posts_with_a_phrase_are_refused_or_reviewed(server: Server, tmp_path: Path) -> None:
    assert said(server, tmp_path, "filter", "an ugly word") == "such posts are refused"
    assert said(server, tmp_path, "filter", "casino", "--hold") == "such posts wait for review"
    assert "must not contain" in post(server, tmp_path, "This is an ugly word.")
    waiting = [post(server, tmp_path, f"My casino {number}") for number in range(2)]
    ids = [line.removeprefix("waits for review as ") for line in waiting]
    until(lambda: all(one in said(server, tmp_path, "review") for one in ids), "both posts in the review")
    assert "My casino 0" in said(server, tmp_path, "review")
    assert said(server, tmp_path, "approve", ids[0]) == f"approved {ids[0]}"
    assert said(server, tmp_path, "reject", ids[1], "--reason", "advertising") == f"rejected {ids[1]}"
    assert said(server, tmp_path, "review") == "no post waits for review"
    assert texts(server) == ["My casino 0"]
    assert "already" in moderate(server, tmp_path, "approve", ids[1]).error
    assert [line.split()[0] for line in said(server, tmp_path, "filters").splitlines()] == ["phrase", "an", "casino"]
    for phrase in ("Casino", "an ugly word"):
        assert said(server, tmp_path, "unfilter", phrase) == "removed"
    assert said(server, tmp_path, "filters") == "there are no filters"
    assert "no filter has the phrase" in moderate(server, tmp_path, "unfilter", "casino").error


def test_p8_slow_mode_is_shown_and_ended(server: Server, tmp_path: Path) -> None:
    assert said(server, tmp_path, "slow", "60") == "one post in 60 s from one address"
    assert "slow mode: one post in 60 s" in said(server, tmp_path, "filters")
    assert said(server, tmp_path, "slow", "0") == "slow mode is off"
    assert said(server, tmp_path, "filters") == "there are no filters"


def test_reports_are_shown_with_what_they_are_about(server: Server, tmp_path: Path) -> None:
    assert said(server, tmp_path, "reports") == "no message is reported"
    message_id = post(server, tmp_path, "Something rude").removeprefix("posted as ")
    body = {"messageId": message_id, "reason": "rude\u202e"}
    server.http.post("/api/report", json=body).raise_for_status()
    shown = said(server, tmp_path, "reports").splitlines()[1]
    assert shown.startswith(message_id)
    assert shown.endswith("Something rude")
    assert "\u202e" not in shown, "nothing that a visitor says may turn the line around"
    assert said(server, tmp_path, "dismiss", message_id) == f"dismissed the reports of {message_id}"
    assert said(server, tmp_path, "reports") == "no message is reported"


def test_who_did_what_is_shown_newest_first(server: Server, tmp_path: Path) -> None:
    assert said(server, tmp_path, "audit") == "nothing is in the audit log"
    said(server, tmp_path, "slow", "5", "--reason", "a flood")
    said(server, tmp_path, "filter", "spam")
    first, second = said(server, tmp_path, "audit").splitlines()[1:]
    assert first.endswith("local  filter  spam (refuse)")
    assert second.endswith("local  slow    5 s            a flood")
    assert len(said(server, tmp_path, "audit", "--limit", "1").splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ban", "Ada", "204120051", "more"), "give an address, or a name and its color"),
        (("ban", "Ada", "204120051", "--for", "forever"), "such as 1h"),
        (("slow", "3601"), "0<=x<=3600"),
    ],
)
def test_p8_wrong_usage_is_refused_with_what_is_right(
    server: Server, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = moderate(server, tmp_path, *arguments)
    assert done.status == 2
    assert words in done.stderr
