"""What a comparison needs is installed where that is possible, and printed where it is not."""

import os
from pathlib import Path

import pytest

from benchmarks import install

APT_GET = """#!/bin/sh
echo "$*" >> "$0.log"
case "$*" in *{installs}) printf '#!/bin/sh\\n' > "${{0%/*}}/{installs}"; chmod 755 "${{0%/*}}/{installs}";; esac
case "$*" in *{fails}) echo "no such package" >&2; exit 100;; esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory of PATH; apt-get in it can install wrk and not redis-server."""
    apt_get = tmp_path / "apt-get"
    apt_get.write_text(APT_GET.format(installs="wrk", fails="redis-server"))
    apt_get.chmod(0o755)
    for name in ("rm", "chmod"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(install, "PROGRAMS", {"wrk": "wrk", "redis-server": "redis-server"})
    monkeypatch.setattr("benchmarks.contenders.workerd.is_outdated", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def test_root_installs_what_is_missing_and_reads_what_cannot_be(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install.main()
    assert (programs / "wrk").exists()
    printed = capsys.readouterr().err
    assert "no such package" in printed
    assert "not installed: redis-server: sudo apt-get install redis-server" in printed
    assert "not installed: wrk" not in printed
    assert (programs / "apt-get.log").read_text().splitlines() == [
        "update -qq",
        "install -y -qq --no-install-recommends wrk",
        "install -y -qq --no-install-recommends redis-server",
    ]


def test_nothing_is_installed_twice(programs: Path) -> None:
    install.main()
    (programs / "redis-server").symlink_to("wrk")
    (programs / "apt-get.log").unlink()
    install.main()
    assert not (programs / "apt-get.log").exists()


def test_another_user_reads_what_to_install(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    install.main()
    assert "not installed: wrk: sudo apt-get install wrk" in capsys.readouterr().err
    assert not (programs / "apt-get.log").exists()


def test_a_failed_npm_is_printed(programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    npm = programs / "npm"
    npm.write_text("#!/bin/sh\necho 'no network' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr("benchmarks.contenders.workerd.is_outdated", lambda: True)
    install.main()
    assert "no network" in capsys.readouterr().err
