"""What was erased from a wall comes back with no restore, and ``sww forget`` removes it from its backups."""

import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import test_migrate
from msgspec import UNSET
from msgspec.structs import replace
from terminal import sww
from test_backup_restore import ran, restored
from test_migrate import a_post, fill, go_on, on, see

from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded.backup import PARTIAL, read_manifest, shown
from durable_objects.embedded.change_log import read_steps
from durable_objects.embedded.snapshot import SnapshotSource
from durable_objects.embedded.store import FILE as DATA_FILE
from saywhatwant.commands import erasures
from saywhatwant.commands.backup import make_backup
from saywhatwant.commands.backup_series import Series
from saywhatwant.commands.forget import LONGEST_ERASE_MS, REWRITTEN
from saywhatwant.message import Message, Ruling, decode_list
from saywhatwant.moderation.object import Moderation
from saywhatwant.schemas import Reply
from saywhatwant.topology import Topology, Wall, moderation_of, open_wall
from scenario import run

TOPOLOGIES: list[Topology] = ["single", "per-entity", "hybrid"]
WORD = "a-word-that-is-nowhere-else"


@pytest.fixture(autouse=True)
def _leases_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_migrate, "CONFIG", replace(test_migrate.CONFIG, lease_ms=3_600_000))


def traces(directory: Path) -> list[str]:
    """The files below a directory that have the word somewhere in their bytes; compressed changes are unpacked."""
    found = [str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file() and has(path.read_bytes())]
    for backup in {path.parent for path in directory.rglob("manifest.json") if not path.parent.name.endswith(PARTIAL)}:
        found += [f"{backup.name}:{step.number}" for _, step, pages in read_steps(backup, read_manifest(backup)) if has(pages)]
    return sorted(found)


def has(content: bytes) -> bool:
    return WORD.encode() in content


async def say(wall: Wall) -> None:
    """Messages with the word in each state that a message may have; their ids begin with ``gone``."""
    long = " ".join([WORD] * 150)
    await wall.post(a_post(long, id="gonewaiting", entity="zen", context=(f"He said: {WORD}",)))
    await wall.post(a_post(WORD, id="gonesaid", answer=False))
    await wall.post(a_post(WORD, id="gonehidden", entity="rude"))
    await wall.hide("gonehidden", "rude", name=True)
    await wall.post(a_post(WORD, id="goneanswered", entity="iesha"))
    await wall.claim("goneanswered", "bot")
    await wall.complete("goneanswered", "bot", 1, Reply(f"You say {WORD}?"))
    await wall.post(a_post(WORD, id="gonefailed", entity="suntsu"))
    await wall.claim("gonefailed", "bot")
    await wall.fail("gonefailed", "bot", 1, "no words", retry=False, detail=f"I do not say {WORD}")
    await wall.post(a_post("Who said that?", id="quotes", entity="eliza", context=(f"Ann: {long}", "Eve: Hello.")))


async def said(wall: Wall) -> list[Message]:
    return decode_list((await wall.read(newest_first=False)).body)


async def erase(wall: Wall) -> list[str]:
    """Erase all messages with the word; returns their ids."""
    ids = [one.id for one in await said(wall) if one.id.startswith("gone") or WORD in one.text]
    for message_id in ids:
        await wall.erase(message_id)
    return ids


def as_others(messages: Sequence[Message], erased: Sequence[str]) -> list[Message]:
    """The messages but these, without what an erase changes in them: that a context is shorter."""
    return [replace(one, seq=0) for one in messages if one.id not in erased]


def erased_ids(messages: Sequence[Message]) -> set[str]:
    return {one.id for one in messages if one.erased is not UNSET}


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_what_was_erased_after_a_backup_is_erased_from_the_restored_wall_and_all_else_is_there(
    tmp_path: Path, topology: Topology
) -> None:
    data = tmp_path / "data"
    on(data, topology, fill)
    on(data, topology, say)
    before = on(data, topology, said)
    ran(tmp_path, "backup", "--data", "data", "--to", "copies/monday")
    gone = on(data, topology, erase)
    assert len(gone) == 6
    ran(tmp_path, "backup", "--data", "data", "--to", "copies/tuesday")
    assert (tmp_path / "copies" / "monday" / erasures.FILE).read_text() == "[]\n"

    report = restored(tmp_path, backup="copies/monday").splitlines()
    assert sorted(report[1].removeprefix("erased again, as they were erased later: ").split()) == sorted(gone)
    assert traces(tmp_path / "copies" / "monday")
    assert traces(tmp_path / "new") == []
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [DATA_FILE]
    after = on(tmp_path / "new", topology, said)
    assert erased_ids(after) == set(gone)
    assert as_others(after, gone) == as_others(before, gone)
    on(tmp_path / "new", topology, partial(contexts, expected=["Eve: Hello."]))
    on(tmp_path / "new", topology, go_on)


async def contexts(wall: Wall, expected: list[str]) -> None:
    claimed = await wall.claim("quotes", "bot", context=5)
    assert claimed.talks is not UNSET
    assert [talk.context for talk in claimed.talks.values()] == [expected]
    (message,) = [one for one in await said(wall) if one.id == "quotes"]
    await wall.release("quotes", "bot", message.bot_params.attempt)


def test_a_restored_wall_without_a_later_erase_is_what_it_was(tmp_path: Path) -> None:
    """Also where the backup knows what was erased before: nothing is done twice."""
    on(tmp_path / "data", "single", say)
    on(tmp_path / "data", "single", erase)
    on(tmp_path / "data", "single", fill)
    before = on(tmp_path / "data", "single", see)
    ran(tmp_path, "backup", "--data", "data", "--to", "backup")
    assert "erased again" not in restored(tmp_path)
    assert on(tmp_path / "new", "single", see) == before


def test_another_backup_or_data_that_is_elsewhere_can_be_named(tmp_path: Path) -> None:
    on(tmp_path / "data", "single", say)
    ran(tmp_path, "backup", "--data", "data", "--to", "old/monday")
    gone = on(tmp_path / "data", "single", erase)
    ran(tmp_path, "backup", "--data", "data", "--to", "new/tuesday")
    for number, known in enumerate(("data", "new", "new/tuesday")):
        ran(tmp_path, "restore", "--from", "old/monday", "--data", f"restored-{number}", "--erased-in", known)
        assert erased_ids(on(tmp_path / f"restored-{number}", "single", said)) == set(gone)
    done = sww(tmp_path, "restore", "--from", "old/monday", "--data", "again", "--erased-in", "nowhere")
    assert done.error == "sww: nowhere has neither data nor backups"
    (tmp_path / "old" / "monday" / erasures.FILE).write_text("{")
    done = sww(tmp_path, "restore", "--from", "old/monday", "--data", "again")
    assert "old/monday/erased.json is no list of erased messages" in done.error


def test_a_later_message_with_the_same_id_stays(tmp_path: Path) -> None:
    """Ids that clients have chosen may come again, once the message is removed."""
    on(tmp_path / "data", "single", say)
    ran(tmp_path, "backup", "--data", "data", "--to", "copies/monday")
    known = on(tmp_path / "data", "single", said)[0]
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "data").mkdir()
    one = {"id": known.id, "at": known.timestamp - 1}
    (tmp_path / "copies" / "monday" / erasures.FILE).write_text(json.dumps([one]))
    restored(tmp_path, backup="copies/monday")
    assert erased_ids(on(tmp_path / "new", "single", said)) == set()
    (tmp_path / "copies" / "monday" / erasures.FILE).write_text(json.dumps([one | {"at": known.timestamp}]))
    restored(tmp_path, backup="copies/monday", to="newer")
    assert erased_ids(on(tmp_path / "newer", "single", said)) == {known.id}


def test_a_post_that_waits_for_review_in_the_backup_is_rejected(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def hold(wall: Wall) -> None:
        await wall.post(a_post(WORD, id="goneheld", entity="zen", ruling=Ruling("hold")))
        await wall.post(a_post("Good.", id="held", entity="zen", ruling=Ruling("hold")))

    on(data, "single", hold)
    ran(tmp_path, "backup", "--data", "data", "--to", "copies/monday")
    assert traces(tmp_path / "copies" / "monday")
    erased = {"id": "goneheld", "at": read_manifest(tmp_path / "copies" / "monday").time + 1_000}
    (tmp_path / "copies" / "monday" / erasures.FILE).write_text(json.dumps([erased]))
    restored(tmp_path, backup="copies/monday")
    assert traces(tmp_path / "new") == []
    assert run(waiting(tmp_path / "new")) == ["held"]


async def waiting(data: Path) -> list[str]:
    runtime = EmbeddedRuntime(data)
    open_wall(runtime, test_migrate.CONFIG)
    moderation = moderation_of(runtime)
    async with runtime:
        return [one.id for one in (await moderation.call(Moderation.overview)).held]


@pytest.mark.parametrize(("first", "second"), [("single", "per-entity"), ("per-entity", "single")])
def test_what_is_erased_is_known_after_a_migration_and_when_the_messages_are_removed(
    tmp_path: Path, first: Topology, second: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    on(data, first, say)
    ran(tmp_path, "backup", "--data", "data", "--to", "copies/monday")
    gone = on(data, first, erase)
    ran(tmp_path, "migrate", "--data", "data", "--topology", second)
    monkeypatch.setattr(test_migrate, "CONFIG", replace(test_migrate.CONFIG, retention=1, talk_retention=1, max_kept=1))

    async def post(wall: Wall) -> None:
        for entity in (None, *test_migrate.CONFIG.entities):
            for number in range(10):
                await wall.post(a_post(f"later {number}", entity=entity, answer=False))
        assert not erased_ids(await said(wall))

    on(data, second, post)
    ran(tmp_path, "backup", "--data", "data", "--to", "copies/tuesday")
    restored(tmp_path, backup="copies/monday")
    assert erased_ids(on(tmp_path / "new", first, said)) == set(gone)


# -- A series, and what is removed from it


class Days:
    """A series of backups of a wall from which everything with the word is erased at the end."""

    def __init__(self, directory: Path) -> None:
        self.copies, self.data = directory / "copies", directory / "data"
        on(self.data, "single", say)
        self.copies.mkdir()
        with SnapshotSource(self.data, note=erasures.note_of) as source:
            series = Series(self.copies, source, partial(make_backup, data=self.data), [])
            series.add()
            on(self.data, "single", fill)
            series.follow()
            series.add()
            self.before_erase = on(self.data, "single", said)
            self.gone = on(self.data, "single", erase)
            self.after_erase = on(self.data, "single", said)
            step = series.follow()
            assert step is not None
            self.erased_at = step.until
        self.backups = sorted(path for path in self.copies.iterdir() if path.is_dir())


@pytest.fixture
def days(tmp_path: Path) -> Days:
    return Days(tmp_path)


def test_the_log_of_changes_knows_it_too(tmp_path: Path, days: Days) -> None:
    shutil.rmtree(days.data)
    for number, backup in enumerate(days.backups):
        manifest = read_manifest(backup)
        at = shown(manifest.until)
        restored(tmp_path, backup="copies", to=f"at-{number}")
        ran(tmp_path, "restore", "--from", "copies", "--at", at, "--data", f"then-{number}")
        then = on(tmp_path / f"then-{number}", "single", said)
        assert erased_ids(then) == set(days.gone)
        assert traces(tmp_path / f"then-{number}") == []
    assert as_others(on(tmp_path / "at-0", "single", said), []) == as_others(days.after_erase, [])


def test_forget_leaves_no_byte_of_it_in_the_backups_and_all_else_is_there(tmp_path: Path, days: Days) -> None:
    assert {backup.name for backup in days.backups} <= {found.partition("/")[0] for found in traces(days.copies)}
    report = ran(tmp_path, "forget", "--from", "copies", "--data", "data").splitlines()
    assert [line.partition(" was written again; erased in it: ")[0] for line in report] == [one.name for one in days.backups]
    assert traces(days.copies) == []
    assert sorted(path.name for path in days.copies.iterdir()) == [*(one.name for one in days.backups), "lock"]
    shutil.rmtree(days.data)
    newest = restored(tmp_path, backup="copies")
    assert "changes after the backup" not in newest, "it has the last state itself"
    after = on(tmp_path / "new", "single", said)
    assert as_others(after, []) == as_others(days.after_erase, [])
    at = shown(read_manifest(days.backups[0]).until)
    ran(tmp_path, "restore", "--from", "copies", "--at", at, "--data", "then")
    then = on(tmp_path / "then", "single", said)
    assert erased_ids(then) == set(days.gone)
    assert as_others(then, days.gone) == as_others(days.before_erase, days.gone)


def test_the_series_goes_on_with_a_backup_that_was_written_again(tmp_path: Path, days: Days) -> None:
    ran(tmp_path, "forget", "--from", "copies", "--data", "data")
    with SnapshotSource(days.data, note=erasures.note_of) as source:
        series = Series(days.copies, source, partial(make_backup, data=days.data), [])
        assert series.begin() is not None
        on(days.data, "single", later)
        assert series.follow() is not None
    assert traces(days.copies) == []
    restored(tmp_path, backup="copies")
    assert [one.text for one in on(tmp_path / "new", "single", said)][-1] == "later"


async def later(wall: Wall) -> None:
    await wall.post(a_post("later", answer=False))


def test_forget_leaves_alone_what_was_made_long_after_the_last_erase(tmp_path: Path, days: Days) -> None:
    late = days.erased_at + LONGEST_ERASE_MS + 60_000
    with SnapshotSource(days.data, lambda: late, note=erasures.note_of) as source:
        make_backup(source, days.copies / "late", data=days.data)
    before = (days.copies / "late" / "manifest.json").read_bytes()
    report = ran(tmp_path, "forget", "--from", "copies", "--data", "data").splitlines()
    assert report[-1] == "late was made after the last erase"
    assert (days.copies / "late" / "manifest.json").read_bytes() == before
    assert traces(days.copies) == []


def test_forget_takes_one_backup_and_what_only_the_data_knows(tmp_path: Path) -> None:
    on(tmp_path / "data", "single", say)
    ran(tmp_path, "backup", "--data", "data", "--to", "monday")
    assert (
        ran(tmp_path, "forget", "--from", "monday", "--data", "data") == "nothing was erased, as far as data and backups know\n"
    )
    on(tmp_path / "data", "single", erase)
    ran(tmp_path, "forget", "--from", "monday", "--data", "data")
    assert traces(tmp_path / "monday") == []


def test_p8_forget_refuses_what_it_cannot_do(tmp_path: Path, days: Days) -> None:
    def refused(*arguments: str, **settings: object) -> str:
        return sww(tmp_path, "forget", *arguments, **settings).error.removeprefix("sww: ")

    assert refused("--from", "nowhere") == "nowhere is no directory of backups"
    assert "SWW_RUNTIME is restate" in refused("--from", "copies", runtime="restate")
    (days.backups[0] / DATA_FILE).write_bytes(b"damaged")
    assert "has 7 bytes" in refused("--from", "copies")
    assert traces(days.copies), "it says that it has not ended"
    assert not list(days.copies.glob(f"*{PARTIAL}"))
    assert not list(days.copies.glob(f"*{REWRITTEN}"))
