"""Texts are erased while backups follow all changes: neither fails, and each state that was followed is whole (P1)."""

from pathlib import Path

import httpx
from test_backup_kills import backing_up
from test_backup_restore import ran

from durable_objects.embedded.backup import read_manifest, shown
from durable_objects.embedded.change_log import read_steps
from saywhatwant.commands.backup_series import complete_backups
from servers import Server, until

WORD = "a-word-that-is-nowhere-else"


def post(server: Server, text: str) -> str:
    body = {"text": text, "username": "Human", "color": "169080199", "botParams": {"answer": False}}
    return str(server.http.post("/api/comments", json=body).raise_for_status().json()["id"])


def erase(server: Server, message_id: str) -> httpx.Response:
    """An erase may find the file being read, and says so then."""
    return server.http.post("/api/moderation/erase", json={"messageId": message_id})


def wall(server: Server) -> list[tuple[str, str]]:
    answer = server.http.get("/api/comments", params={"order": "asc"}).raise_for_status()
    return [(one["id"], one["text"]) for one in answer.json()]


def has_followed(copies: Path, message_id: str) -> bool:
    """Whether a state that has this message was added to the backup."""
    ((manifest, backup),) = complete_backups(copies)
    return any(message_id.encode() in pages for _, _, pages in read_steps(backup, manifest))


def test_p1_erases_and_backups_that_follow_do_not_disturb_each_other(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    with Server(tmp_path, retention=100_000) as server:
        for number in range(50):
            post(server, f"neighbor {number}: {'x' * 1_000}")
        with backing_up(tmp_path) as process:
            until(lambda: copies.exists() and complete_backups(copies), "the first backup")
            for number in range(8):
                message_id = post(server, f"{WORD} {number}")
                assert erase(server, message_id).status_code == 200
            last = post(server, "the last one")
            until(lambda: has_followed(copies, last), "its change")
            assert process.poll() is None
        assert "not backed up" not in (tmp_path / "backup.log").read_text()
        expected = wall(server)
    assert expected[-1][0] == last
    ((manifest, backup),) = complete_backups(copies)
    steps = [step for _, step, _ in read_steps(backup, manifest)]
    for number, step in enumerate(steps[:: max(1, len(steps) // 5)]):
        ran(tmp_path, "restore", "--from", "copies", "--at", shown(step.until), "--data", f"then-{number}")
        assert not [path for path in (tmp_path / f"then-{number}").iterdir() if WORD.encode() in path.read_bytes()]
    ran(tmp_path, "restore", "--from", "copies", "--data", "restored/data")
    (tmp_path / "restored").mkdir(exist_ok=True)
    with Server(tmp_path / "restored", retention=100_000) as again:
        assert wall(again) == expected
    ran(tmp_path, "forget", "--from", "copies", "--data", "data")
    assert read_manifest(backup).time >= manifest.time
    assert not [path for path in copies.rglob("*") if path.is_file() and WORD.encode() in path.read_bytes()]
