"""``sww export`` and ``sww import`` move a wall: nothing is lost, doubled or half done (P1, P4, P5, P7)."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import test_migrate
from msgspec.structs import replace
from terminal import sww
from test_migrate import fill, go_on, on, rows, see

from documents import blocks
from durable_objects import SourceChanged
from durable_objects.disk import DATA_VERSION
from durable_objects.embedded.rewrite import rewrite
from durable_objects.embedded.store import IMPORT
from durable_objects.embedded.transfer import EmbeddedSource
from durable_objects.export_file import ExportWriter, Header
from saywhatwant.commands.data_upgrade import UPGRADES
from saywhatwant.commands.runtimes import SOURCES
from saywhatwant.queue.standing import Stand
from saywhatwant.topology import Topology
from saywhatwant.topology.wall import Wall
from servers import SWW, Server, environment
from strace import command as traced
from strace import parse

VERSION_1 = Path(__file__).parents[2] / "data" / "version-1"
LATER = "use the program that wrote it, or a later one"
POST = {"username": "Human", "color": "169080199", "botParams": {"entity": "zen"}}


def exported(data: Path, file: Path) -> Path:
    done = sww(data.parent, "export", "--data", str(data), str(file))
    assert (done.status, done.stderr) == (0, "")
    return file


@pytest.fixture(autouse=True)
def _leases_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_migrate, "CONFIG", replace(test_migrate.CONFIG, lease_ms=3_600_000))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A wall in a file."""
    on(tmp_path / "data", "single", fill)
    return exported(tmp_path / "data", tmp_path / "file")


@pytest.mark.parametrize("topology", ["single", "per-entity", "hybrid"])
def test_p1_a_wall_of_each_topology_moves_and_goes_on(tmp_path: Path, topology: Topology) -> None:
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "file"
    on(old, topology, fill)
    before, stored = on(old, topology, see), rows(old)
    done = sww(tmp_path, "export", "--data", str(old), str(file), topology="single")
    assert re.fullmatch(
        rf"exported 16 messages, \d+ objects, \d+ rows to {file} \([\d,]+ bytes\); its topology is {topology}\n", done.stdout
    )
    done = sww(tmp_path, "import", str(file), "--data", str(new), topology=topology)
    assert re.fullmatch(rf"imported 16 messages, \d+ objects, \d+ rows from {file}\n", done.stdout), done.stderr
    assert rows(new) == stored == rows(old)
    assert on(new, topology, see) == before
    on(new, topology, go_on)


def test_p1_bots_that_stood_at_the_old_wall_do_not_stand_at_the_new_one(tmp_path: Path) -> None:
    """Nothing ends their lines where a server does not know of them, so messages would be handed to nobody."""

    async def stand(wall: Wall) -> None:
        assert wall.standing is not None
        await wall.standing.stand(Stand("0123456789abcdef", "gateway", 1, "bot", 2))

    old, new = tmp_path / "old", tmp_path / "new"
    on(old, "single", stand)
    done = sww(tmp_path, "import", "--data", str(new), str(exported(old, tmp_path / "file")))
    assert (done.status, done.stderr) == (0, "")
    assert [["standing/" in key for _, key, _ in rows(data)[0]].count(True) for data in (old, new)] == [1, 0]


def messages(server: Server) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = server.http.get("/api/comments", params={"order": "asc"}).raise_for_status().json()
    return answer


def post(server: Server, text: str, key: str) -> Any:
    return server.http.post("/api/comments", json=POST | {"text": text}, headers={"Idempotency-Key": key}).json()


def claim(server: Server, count: int) -> list[dict[str, Any]]:
    call = {"workerId": "bot", "entities": ["zen"], "limit": count}
    found: list[dict[str, Any]] = server.http.post("/api/queue/claim", json=call).raise_for_status().json()["messages"]
    return found


def complete(server: Server, message: dict[str, Any]) -> int:
    call = {"messageId": message["id"], "workerId": "bot", "attempt": message["botParams"]["attempt"]}
    return server.http.post("/api/queue/complete", json=call | {"reply": {"text": f"to {message['text']}"}}).status_code


@pytest.mark.parametrize("topology", ["single", "per-entity", "hybrid"])
def test_p1_p4_p5_p7_a_server_goes_on_with_the_wall_of_another(tmp_path: Path, topology: Topology) -> None:
    """Posts, an answer, a claim that is held and messages that wait; then the server dies and the wall moves."""
    file = tmp_path / "file"
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    with Server(tmp_path / "old", topology=topology, lease_seconds=3_600) as old:
        posted = [post(old, f"post {number}", f"key {number}") for number in range(6)]
        answered, held = claim(old, 1) + claim(old, 1)
        assert complete(old, answered) == 200
        before = messages(old)
        token = old.http.get("/api/comments").headers["etag"]
        old.kill()
        done = sww(tmp_path, "export", "--data", str(old.data), str(file))
        assert done.stdout.startswith("exported 7 messages")
    with Server(tmp_path / "new", topology=topology, lease_seconds=3_600) as new:
        new.kill()
        shutil.rmtree(new.data)
        done = sww(tmp_path, "import", str(file), "--data", str(new.data), topology=topology)
        assert done.status == 0, done.stderr
        new.start()
        assert messages(new) == before
        assert new.http.get("/api/comments", headers={"If-None-Match": token}).status_code == 304
        assert [post(new, f"post {number}", f"key {number}") for number in range(6)] == posted
        assert len(messages(new)) == 7
        assert complete(new, held) == 200
        while found := claim(new, 2):
            assert [complete(new, message) for message in found] == [200] * len(found)
        after = messages(new)
        new_post = post(new, "new", "key 6")
        assert new_post["timestamp"] > max(message["timestamp"] for message in after)
    assert len({message["timestamp"] for message in after}) == len(after) or topology == "per-entity"
    asked = {message["id"]: message for message in after if message["messageType"] == "human"}
    answers = [message for message in after if message["messageType"] == "AI"]
    assert {message["botParams"]["status"] for message in after} == {"complete"}
    assert sorted(message["replyTo"] for message in answers) == sorted(asked) == sorted(one["id"] for one in posted)
    assert all(message["text"] == f"to {asked[message['replyTo']]['text']}" for message in answers)


def test_p1_data_of_version_1_moves_as_it_is_and_is_converted_where_it_goes(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    shutil.copy(VERSION_1 / "objects.sqlite3", tmp_path / "old")
    before = rows(tmp_path / "old")
    file = exported(tmp_path / "old", tmp_path / "file")
    assert rows(tmp_path / "old") == before
    done = sww(tmp_path, "import", str(file), "--data", str(tmp_path / "new"))
    assert done.status == 0, done.stderr
    rewrite(tmp_path / "old", lambda _: None, UPGRADES)  # which opens, and so converts it
    assert rows(tmp_path / "new") == rows(tmp_path / "old") != before


def test_p1_a_server_that_runs_keeps_its_data_and_its_directory(tmp_path: Path, file: Path) -> None:
    with Server(tmp_path, bind="127.0.0.1:0") as server:
        for arguments in (("export", str(tmp_path / "other")), ("import", str(file))):
            done = sww(tmp_path, *arguments, "--data", str(server.data))
            assert f"is in use by process {server.pid}" in done.error
    assert not (tmp_path / "other").exists()


def test_p1_a_directory_with_a_wall_is_refused(tmp_path: Path, file: Path) -> None:
    before = rows(tmp_path / "data")
    done = sww(tmp_path, "import", str(file), "--data", str(tmp_path / "data"))
    assert done.error == f"sww: {tmp_path / 'data'} has data already (objects.sqlite3); choose another directory"
    assert rows(tmp_path / "data") == before


def test_p1_a_file_that_exists_is_not_replaced(tmp_path: Path, file: Path) -> None:
    before = file.read_bytes()
    done = sww(tmp_path, "export", "--data", str(tmp_path / "data"), str(file))
    assert done.error == f"sww: {file} exists already; choose another name"
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("topology", "way"), [("per-entity", ", then convert it with sww migrate --topology per-entity"), ("hybrid", "")]
)
def test_p8_a_wall_of_another_topology_than_the_settings_is_refused_with_a_way_out(
    tmp_path: Path, file: Path, topology: str, way: str
) -> None:
    done = sww(tmp_path, "import", str(file), "--data", str(tmp_path / "new"), topology=topology)
    what = f"SWW_TOPOLOGY is {topology}, but the wall in {file} has the topology single"
    assert done.error == f"sww: {what}: import it with SWW_TOPOLOGY=single{way}"
    assert not (tmp_path / "new").exists()


def test_p8_a_place_without_a_wall_is_refused(tmp_path: Path) -> None:
    done = sww(tmp_path, "export", "--data", str(tmp_path / "none"), str(tmp_path / "file"))
    assert done.error == f"sww: {tmp_path / 'none'} has no data"
    rewritten = tmp_path / "empty"
    rewritten.mkdir()
    rewrite(rewritten, lambda _: None)
    done = sww(tmp_path, "export", "--data", str(rewritten), str(tmp_path / "file"))
    assert done.error == "sww: there is no wall to export"
    assert not (tmp_path / "file").exists()


def test_p1_a_file_that_was_cut_or_changed_is_refused_before_anything_is_made(tmp_path: Path, file: Path) -> None:
    whole = file.read_bytes()
    for changed in (whole[:-20], whole[: len(whole) // 2], whole.replace(b"single", b"hybrid"), whole[:-9] + bytes(9)):
        file.write_bytes(changed)
        done = sww(tmp_path, "import", str(file), "--data", str(tmp_path / "new"))
        assert done.error.startswith(f"sww: {file} was cut or changed after it was made: ")
        assert not (tmp_path / "new").exists()


def test_p8_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("hello\n")
    arguments = ("import", str(file), "--data", str(tmp_path / "new"))
    assert sww(tmp_path, *arguments).error == f"sww: {file} is no export of durable objects"
    for version, facts, error in (
        (DATA_VERSION, {}, f"{file} is an export of durable objects, but not of a wall"),
        (
            DATA_VERSION + 1,
            {"topology": "single"},
            f"the data has version {DATA_VERSION + 1}; this program reads version {DATA_VERSION}: {LATER}",
        ),
    ):
        file.unlink()
        with ExportWriter(file, Header(data_version=version, made_by="a test", made_at="", facts=facts)) as writer:
            writer.finish()
        assert sww(tmp_path, *arguments).error == f"sww: {error}"
        assert not (tmp_path / "new" / "objects.sqlite3").exists()


CHANGES = ("pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "unlink")
"""The system calls after which the disk is another one."""


def import_through(through: tuple[str, ...], file: Path, data: Path) -> subprocess.CompletedProcess[bytes]:
    arguments = [*through, str(SWW), "import", str(file), "--data", str(data)]
    quiet = environment() | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(arguments, cwd=file.parent, env=quiet, capture_output=True, check=False)


def test_p1_an_import_that_is_killed_at_any_moment_leaves_nothing_that_starts_or_everything(tmp_path: Path, file: Path) -> None:
    trace = tmp_path / "trace"
    assert import_through(traced(trace, *CHANGES), file, tmp_path / "whole").returncode == 0
    calls = [call.name for call in parse(trace.read_text()) if call.name in CHANGES]
    assert calls[-3:] == ["fsync", "rename", "fsync"]
    everything, left = rows(tmp_path / "data"), set()
    for moment in sorted({*range(7), len(calls) // 2, *range(len(calls) - 5, len(calls))}):
        data, call = tmp_path / str(moment), calls[moment]
        kill = ("-e", f"inject={call}:signal=KILL:when={calls[: moment + 1].count(call)}")
        assert import_through((*traced(trace, *CHANGES), *kill), file, data).returncode != 0
        if (data / "objects.sqlite3").exists():
            left.add("everything")
            assert rows(data) == everything
        elif (data / IMPORT).exists():
            left.add("what does not start")
            done = sww(tmp_path, "serve", "--bind", "127.0.0.1:0", "--data", str(data))
            assert done.error.startswith(f"sww: an import into {data} has not ended; run it again, or remove ")
        again = sww(tmp_path, "import", str(file), "--data", str(data))
        assert (again.status == 0) is ("has data already" not in again.stderr)
        assert rows(data) == everything
    assert left == {"everything", "what does not start"}


@pytest.mark.parametrize("changes", [1, 4, 5])
def test_p1_a_wall_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    on(tmp_path / "data", "single", fill)
    left = changes

    class Changing(EmbeddedSource):
        async def check(self) -> None:
            nonlocal left
            left -= 1
            if left >= 0:
                raise SourceChanged("Box/a changed while it was read")

    monkeypatch.setitem(SOURCES, "embedded", lambda settings: Changing(settings.data))
    done = sww(tmp_path, "export", "--data", str(tmp_path / "data"), str(tmp_path / "file"))
    again = "sww: reading all again: Box/a changed while it was read\n" * min(changes, 4)
    assert (done.status, done.stderr) == ((0, again) if changes < 5 else (1, f"{again}sww: Box/a changed while it was read\n"))
    assert [path.name for path in tmp_path.iterdir() if path.name != "data"] == (["file"] if changes < 5 else [])


def test_the_guides_commands_run_as_they_are_shown(tmp_path: Path) -> None:
    on(tmp_path / "data", "single", fill)
    before = rows(tmp_path / "data")
    (block,) = [block for block in blocks("docs/operate.md") if block.text.startswith("sww export")]
    for command in block.commands:
        done = sww(tmp_path, *shlex.split(command)[1:])
        assert done.status == 0, done.stderr
    assert rows(tmp_path / "moved") == before
