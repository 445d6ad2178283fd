"""``sww queue``: an operator sees what is wrong and mends it (P4, P8)."""

import json
from pathlib import Path
from typing import Any

import pytest
from terminal import sww

from conftest import StartServer
from saywhatwant.limits import MAX_BATCH
from servers import Server


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server()


def call(server: Server, path: str, **body: Any) -> Any:
    return server.http.post(path, json=body).raise_for_status().json()


def post(server: Server, entity: str = "zen") -> str:
    body = {"text": "Why?", "username": "Human", "color": "169080199", "botParams": {"entity": entity}}
    return str(call(server, "/api/comments", **body)["id"])


def failed(server: Server, entity: str = "zen", **more: Any) -> str:
    message_id = post(server, entity)
    call(server, "/api/queue/claim", messageId=message_id, workerId="worker-1")
    fence = {"messageId": message_id, "workerId": "worker-1", "attempt": 1}
    call(server, "/api/queue/fail", **fence, error="the model failed", retry=False, **more)
    return message_id


def status(server: Server, message_id: str) -> str | None:
    found = [message for message in server.http.get("/api/comments").json() if message["id"] == message_id]
    return str(found[0]["botParams"]["status"]) if found else None


def lines(server: Server, directory: Path, *arguments: str) -> list[str]:
    done = sww(directory, "queue", *arguments, "--url", server.url)
    assert done.status == 0, done.stderr
    return done.stdout.splitlines()


def test_p4_messages_are_retried_failed_and_discarded_by_their_ids(server: Server, tmp_path: Path) -> None:
    one, two = failed(server), failed(server)
    assert lines(server, tmp_path, "retry", one, two) == [f"retried {one}", f"retried {two}", "2 messages retried"]
    assert lines(server, tmp_path, "fail", one, "--reason", "no more power") == [f"failed {one}", "1 message failed"]
    assert (status(server, one), status(server, two)) == ("failed", "pending")
    assert lines(server, tmp_path, "discard", one) == [f"discarded {one}", "1 message discarded"]
    assert status(server, one) is None


def test_p4_messages_are_changed_by_entity_and_all_however_many(server: Server, tmp_path: Path) -> None:
    zen = {post(server) for _ in range(MAX_BATCH + 3)}
    rude = post(server, "rude")
    ended = lines(server, tmp_path, "fail", "--entity", "zen")
    assert {line.removeprefix("failed ") for line in ended[:-1]} == zen
    assert ended[-1] == f"{len(zen)} messages failed"
    assert status(server, rude) == "pending"
    assert lines(server, tmp_path, "fail", "--all")[-1] == "1 message failed"
    assert lines(server, tmp_path, "retry", "--entity", "rude")[-1] == "1 message retried"
    assert lines(server, tmp_path, "discard", "--failed")[-1] == f"{len(zen)} messages discarded"
    assert lines(server, tmp_path, "discard", "--failed") == ["0 messages discarded"]


def test_p8_what_names_no_messages_or_wrong_ones_is_refused(server: Server, tmp_path: Path) -> None:
    for wrong in ([], ["abcd", "--failed"], ["--entity", "zen", "--all"], ["abcd"] * (MAX_BATCH + 1)):
        assert sww(tmp_path, "queue", "discard", *wrong, "--url", server.url).status == 2
    pending = post(server)
    error = sww(tmp_path, "queue", "discard", pending, "--url", server.url).error
    assert error == f"sww: the message {pending!r} is pending, not failed"
    assert sww(tmp_path, "queue", "retry", "nosuchid", "--url", server.url).error == "sww: no message has the id 'nosuchid'"


def test_p8_it_shows_bots_conflicts_and_the_providers_own_words(server: Server, tmp_path: Path) -> None:
    assert "no bot is connected" in lines(server, tmp_path)
    for worker, persona in (("gpu-1", "0" * 16), ("gpu-2", "1" * 16)):
        personas = {"zen": persona, "rude": "2" * 16}
        call(server, "/api/queue/claim", workerId=worker, entities=["rude", "zen"], personas=personas, version="1.2")
    call(server, "/api/queue/claim", workerId="an older bot")
    message_id = failed(server, detail="HTTP 500 from gpu-7: out of memory \x1b[2J")
    shown = lines(server, tmp_path)
    (bot,) = [line for line in shown if line.startswith("bot gpu-1 1.2, seen ")]
    assert bot.endswith(": rude, zen")
    assert any(line.startswith("bot an older bot, seen ") and line.endswith(": any entity") for line in shown)
    conflict = "conflict: gpu-1 and gpu-2 answer for zen with different personas; their entities files differ"
    assert [line for line in shown if line.startswith("conflict")] == [conflict]
    (line,) = [line for line in shown if message_id in line]
    assert "the model failed: HTTP 500 from gpu-7: out of memory" in line
    assert "\x1b" not in line


def test_the_reason_that_the_details_contain_is_not_shown_twice(server: Server, tmp_path: Path) -> None:
    failed(server, detail="zen-7b at http://gpu-7: the model failed: out of memory")
    assert "\n".join(lines(server, tmp_path)).count("the model failed") == 1


def test_it_gives_a_program_everything_as_json(server: Server, tmp_path: Path) -> None:
    message_id = failed(server, detail="out of memory")
    shown = json.loads("\n".join(lines(server, tmp_path, "--json", "--limit", "5")))
    assert shown["stats"]["depth"]["failed"] == 1
    assert [bot["workerId"] for bot in shown["bots"]] == ["worker-1"]
    (message,) = shown["messages"]["failed"]
    assert (message["id"], message["detail"]) == (message_id, "out of memory")


def test_it_shows_all_that_is_known_of_one_message(server: Server, tmp_path: Path) -> None:
    message_id = failed(server, detail="out of memory")
    shown = lines(server, tmp_path, "show", message_id)
    assert shown[0].startswith(f"{message_id}  ")
    assert [line.partition("  ")[2] for line in shown[1:]] == [
        "posted, with priority 50",
        "attempt 1 of worker-1 ended: the model failed",
        "failed by worker-1, attempt 1: the model failed: out of memory",
    ]
    told = json.loads("\n".join(lines(server, tmp_path, "show", message_id, "--json")))
    assert (told["message"]["id"], [one["attempt"] for one in told["attempts"]]) == (message_id, [1])
