"""``sww backup`` and ``sww restore``: what was acknowledged before a backup is in it, and no restore misleads a reader."""

import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import test_migrate
from msgspec.structs import replace
from terminal import Done, sww
from test_migrate import fill, go_on, on, see

from durable_objects.embedded.backup import PARTIAL, read_manifest
from durable_objects.embedded.store import FILE
from saywhatwant.commands.restored import AHEAD_MS, STRIDE
from saywhatwant.topology import Topology
from servers import SWW, Server, environment
from strace import CHANGES, Moments
from strace import command as traced

TOPOLOGIES = ["single", "per-entity", "hybrid"]
VERSION_1 = Path(__file__).parents[2] / "data" / "version-1"
POST = {"username": "Human", "color": "169080199"}


@pytest.fixture(autouse=True)
def _leases_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_migrate, "CONFIG", replace(test_migrate.CONFIG, lease_ms=3_600_000))


def ran(directory: Path, *arguments: str, **settings: object) -> str:
    done = sww(directory, *arguments, **settings)
    assert done.status == 0, done.stderr
    return done.stdout


def restored(directory: Path, *, backup: str = "backup", to: str = "new", **settings: object) -> str:
    return ran(directory, "restore", "--from", backup, "--data", to, **settings)


def heads(data: Path) -> dict[str, int]:
    with closing(sqlite3.connect(data / FILE)) as connection:
        return dict(connection.execute("SELECT object, seq FROM heads"))


def texts(server: Server, **query: object) -> list[str]:
    answer = server.http.get("/api/comments", params=query or {"order": "asc"}).raise_for_status()  # type: ignore[arg-type]
    return [message["text"] for message in answer.json()]


def post(server: Server, text: str) -> int:
    answer = server.http.post("/api/comments", json=POST | {"text": text}).raise_for_status()
    return int(answer.json()["timestamp"])


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_p1_a_restored_wall_of_each_topology_goes_on(tmp_path: Path, topology: Topology) -> None:
    on(tmp_path / "data", topology, fill)
    before = on(tmp_path / "data", topology, see)
    said = ran(tmp_path, "backup", "--data", "data", "--to", "backup")
    assert re.fullmatch(rf"16 messages of [\d-]+T[\d:.]+Z \([\d,]+ bytes, checked; topology {topology}\) in backup\n", said)
    on(tmp_path / "data", topology, go_on)
    said = restored(tmp_path)
    choice = "" if topology == "single" else f"SWW_TOPOLOGY={topology} "
    assert said.splitlines()[1] == f"start it with: {choice}sww serve --data new"
    assert on(tmp_path / "new", topology, see) == before
    on(tmp_path / "new", topology, go_on)


def test_p1_a_backup_of_a_running_server_has_all_that_it_has_answered(tmp_path: Path) -> None:
    with Server(tmp_path, lease_seconds=3_600) as server:
        assert "sww_last_backup" not in server.http.get("/metrics").text
        post(server, "first")
        post(server, "second")
        ran(tmp_path, "backup", "--data", "data", "--to", "backup")
        (value,) = [
            line.split()[1] for line in server.http.get("/metrics").text.splitlines() if line.startswith("sww_last_backup_t")
        ]
        assert float(value) * 1_000 == pytest.approx(read_manifest(tmp_path / "backup").time)
        post(server, "third")
        assert texts(server) == ["first", "second", "third"]
        server.kill()
        shutil.rmtree(server.data)
        restored(tmp_path, to="data")
        server.start()
        assert texts(server) == ["first", "second"]
        post(server, "fourth")
        server.restart()
        assert texts(server) == ["first", "second", "fourth"]


def test_p5_after_a_restore_no_position_of_the_lost_wall_is_taken_for_a_new_one(tmp_path: Path) -> None:
    """Two restores of the same backup, each followed by as many commits as were lost."""
    with Server(tmp_path) as server:
        post(server, "kept")
        ran(tmp_path, "backup", "--data", "data", "--to", "backup")
        tokens: list[str] = []
        for text in ("lost", "lost again", "new"):
            newest = post(server, text)
            token = server.http.get("/api/comments").headers["etag"]
            assert token not in tokens
            for known in tokens:
                assert server.http.get("/api/comments", headers={"If-None-Match": known}).status_code == 200
            assert texts(server) == ["kept", text]
            assert texts(server, since=newest - 1) == [text]
            tokens.append(token)
            server.kill()
            if text != "new":
                shutil.rmtree(server.data)
                restored(tmp_path, to="data")
                server.start()
                assert texts(server, since=newest - 1) == []


@pytest.mark.parametrize(("ahead", "floor"), [(-1_000, 0), (86_400_000, AHEAD_MS)])
def test_p5_timestamps_go_on_above_those_of_the_lost_wall_also_when_its_clock_was_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int, floor: int
) -> None:
    on(tmp_path / "data", "single", fill)
    newest = on(tmp_path / "data", "single", see).messages[-1].timestamp
    ran(tmp_path, "backup", "--data", "data", "--to", "backup")
    now = newest - ahead
    monkeypatch.setattr("saywhatwant.commands.restore.now", lambda: now)
    restored(tmp_path)
    with closing(sqlite3.connect(tmp_path / "new" / FILE)) as connection:
        ((value,),) = connection.execute("SELECT value FROM entries WHERE key = 'newest'")
    assert int(value) == max(now, newest + floor)
    assert set(heads(tmp_path / "new").values()) == {now * STRIDE}


def test_p5_a_restore_with_a_clock_that_is_behind_still_raises_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(tmp_path / "data", "single", fill)
    ran(tmp_path, "backup", "--data", "data", "--to", "backup")
    monkeypatch.setattr("saywhatwant.commands.restore.now", lambda: 0)
    restored(tmp_path)
    assert heads(tmp_path / "new") == {name: seq + AHEAD_MS * STRIDE for name, seq in heads(tmp_path / "backup").items()}


def test_p1_data_of_version_1_is_backed_up_and_restored_as_it_is(tmp_path: Path) -> None:
    shutil.copytree(VERSION_1, tmp_path / "data")
    ran(tmp_path, "backup", "--data", "data", "--to", "backup")
    restored(tmp_path, to="new/data")
    with Server(tmp_path / "new") as server:
        assert texts(server)


def test_the_files_of_the_wall_beside_its_data_are_kept(tmp_path: Path) -> None:
    on(tmp_path / "data", "single", fill)
    (tmp_path / "data" / "tokens.toml").write_text("secret")
    (tmp_path / "data" / "tokens.toml").chmod(0o600)
    (tmp_path / "data" / "bot-id").write_text("of this start")
    ran(tmp_path, "backup", "--data", "data", "--to", "backup")
    restored(tmp_path)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [FILE, "tokens.toml"]
    assert (tmp_path / "new" / "tokens.toml").read_text() == "secret"
    assert (tmp_path / "new" / "tokens.toml").stat().st_mode & 0o777 == 0o600


def test_p8_what_cannot_be_backed_up_or_restored_is_refused_in_one_line(tmp_path: Path) -> None:
    on(tmp_path / "data", "single", fill)
    ran(tmp_path, "backup", "--data", "data", "--to", "backup")
    instead = "its cluster makes snapshots (docs/cluster.md), and sww export FILE --runtime restate writes a wall into a file"

    def refused(*arguments: str, **settings: object) -> str:
        return sww(tmp_path, *arguments, **settings).error.removeprefix("sww: ")

    assert refused("backup", "--data", "none", "--to", "other") == "none has no data"
    assert refused("backup", "--data", "data", "--to", "backup") == "backup exists already; choose another name"
    assert refused("backup", "--data", "data", "--to", "data/../data/in") == (
        "--to data/../data/in is inside the data in data, and would be lost with it; choose another directory"
    )
    assert refused("restore", "--from", "backup", "--data", "data") == "data exists already; a restore makes a new directory"
    assert refused("restore", "--from", "data", "--data", "new") == "data is no backup: it has no manifest.json"
    for command in (("backup", "--data", "data", "--to", "other"), ("restore", "--from", "backup", "--data", "new")):
        assert refused(*command, runtime="restate") == (
            f"sww {command[0]} is for data of the runtime embedded, and SWW_RUNTIME is restate: {instead}"
        )
    manifest = tmp_path / "backup" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("topology", "else"))
    assert refused("restore", "--from", "backup", "--data", "new") == (
        "backup is a backup of durable objects, but not of a wall"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]


def through_a_shell(directory: Path, script: str) -> Done:
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(SWW)], cwd=directory, env=environment(), capture_output=True, check=False, text=True
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("arguments", "target"), [("backup --data data --to full", "full"), ("restore --from backup --data full", "full")]
)
def test_p1_on_a_full_disk_the_error_says_so_and_nothing_is_left(tmp_path: Path, arguments: str, target: str) -> None:
    """No file may get larger than 100 KB, which the system reports much like a full disk."""
    with Server(tmp_path) as server:
        for number in range(30):
            post(server, f"{number} " + "x" * 4_900)
    ran(tmp_path, "backup", "--data", "data", "--to", "backup")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = through_a_shell(tmp_path, f'ulimit -f 200; exec "$1" {arguments}')
    size = (tmp_path / "backup" / FILE).stat().st_size
    assert re.fullmatch(
        rf"sww: no room for {target}: it needs {size:,} bytes, and [\d,]+ are free; nothing is left of it", done.error
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_p1_a_backup_or_restore_that_is_killed_at_any_moment_leaves_all_or_nothing_under_its_name(
    tmp_path: Path, command: str
) -> None:
    on(tmp_path / "data", "single", fill)
    ran(tmp_path, "backup", "--data", "data", "--to", "backup")
    before = on(tmp_path / "data", "single", see)
    arguments = {"backup": ["--data", "data", "--to"], "restore": ["--from", "backup", "--data"]}[command]

    def run_through(target: str, *through: str) -> int:
        quiet = environment() | {"PYTHONDONTWRITEBYTECODE": "1"}
        line = [*through, str(SWW), command, *arguments, target]
        return subprocess.run(line, cwd=tmp_path, env=quiet, capture_output=True, check=False).returncode

    trace = tmp_path / "trace"
    assert run_through("whole", *traced(trace, *CHANGES)) == 0
    moments = Moments.of(trace)
    (first,) = [number for number, call in enumerate(moments.calls) if call.name == "mkdir" and "whole" in call.text]
    (last,) = [number for number, call in enumerate(moments.calls) if call.name == "rename" and "whole" in call.text]
    left = set()
    for moment in [*moments.some(8, first, last + 1), last + 1]:
        target = f"target-{moment}"
        assert run_through(target, *moments.killed_at(moment)) != 0
        if (tmp_path / target).exists():
            left.add("all")
        else:
            left.add("nothing")
            ran(tmp_path, command, *arguments, target)
        if command == "backup":
            restored(tmp_path, backup=target, to=f"from-{target}")
        assert on(tmp_path / (f"from-{target}" if command == "backup" else target), "single", see) == before
        assert not (tmp_path / f"{target}{PARTIAL}").exists()
    assert left == {"all", "nothing"}


def test_what_root_restores_belongs_to_the_owner_of_the_directory_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(tmp_path / "data", "single", fill)
    ran(tmp_path, "backup", "--data", "data", "--to", "backup")
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.chown", lambda path, user, group: given.update({Path(path).name: (user, group)}))
    restored(tmp_path)
    of = tmp_path.stat()
    assert given == dict.fromkeys((FILE, f"new{PARTIAL}"), (of.st_uid, of.st_gid))
