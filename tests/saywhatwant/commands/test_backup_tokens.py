"""The tokens of a restored wall: those of now, not those of when the backup was made."""

import shutil
from pathlib import Path

from test_backup_loop import Clock, backups_of, say
from test_backup_restore import ran


def test_p4_a_restore_has_the_newest_tokens_none_that_was_revoked_after_the_backup(tmp_path: Path) -> None:
    clock = Clock()
    say(tmp_path, "first")
    tokens = tmp_path / "data" / "tokens.toml"

    def restored_tokens(source: str) -> str:
        said = ran(tmp_path, "restore", "--from", source, "--data", "restored")
        path = tmp_path / "restored" / "tokens.toml"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() == (tokens.read_bytes() if tokens.exists() else b"")
        shutil.rmtree(tmp_path / "restored")
        return said.splitlines()[2]

    with backups_of(tmp_path, clock) as backups:
        ran(tmp_path, "token", "add", "old", "--scope", "bot", "--data", "data")
        backups.loop.begin()
        assert restored_tokens("copies") == "tokens that are good now: old (bot)"
        ran(tmp_path, "token", "revoke", "old", "--data", "data")
        ran(tmp_path, "token", "add", "new", "--scope", "operator", "--data", "data")
        clock.now += 5_000
        backups.loop.turn()
        assert (backups.copies / "tokens.toml").stat().st_mode & 0o777 == 0o600
        for source in ("copies", f"copies/{backups.paths[0].name}"):
            assert restored_tokens(source) == "tokens that are good now: new (operator)"
        tokens.unlink()
        clock.now += 5_000
        backups.loop.turn()
        assert restored_tokens("copies") == "tokens that are good now: none"
