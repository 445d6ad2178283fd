"""``sww install``: its units are valid and shut in, as systemd itself says, and its secrets are in files of their own."""

import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from documents import blocks
from durable_objects.files import make_directory, put_in_place
from saywhatwant.commands import install as install_module
from saywhatwant.commands.install import install, make_backups
from saywhatwant.commands.unit_files import SERVICES, SOCKET, Layout
from saywhatwant.models import local
from saywhatwant.models.local import INSTALL
from servers import SWW

pytestmark = pytest.mark.usefixtures("no_settings")

SYSTEM = "etc/systemd/system"
MOST_EXPOSED = 15
"""Tenths of a point, of 100, that systemd may find: 1.5 is "OK", and what a service with a network can have."""
ANYWHERE = ("--program", "/bin/true")
"""A program that every service can see; those of a test are in its own environment."""


def run(*arguments: str, fails: bool = False) -> Result:
    result = CliRunner().invoke(install, arguments)
    assert (result.exit_code != 0) == fails, result.output
    return result


def units_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("sww*") if path.suffix in {".service", ".socket"})


def systemd_analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the services of a system are installed."""
    directory = tmp_path / "root"
    run("--root", str(directory), *ANYWHERE)
    assert [path.name for path in units_of(directory)] == sorted([SOCKET, *SERVICES])
    return directory


def test_systemd_finds_no_mistake_in_the_units_of_a_system(root: Path) -> None:
    done = systemd_analyze("verify", *units_of(root))
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_no_mistake_in_the_units_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    run("--user", *ANYWHERE)
    units = units_of(tmp_path)
    assert len(units) == 1 + len(SERVICES)
    done = systemd_analyze("--user", "verify", *units)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_find_a_mistake(root: Path) -> None:
    unit = root / SYSTEM / "sww.service"
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystems=strict"))
    assert re.search("Unknown key.* 'ProtectSystems'", systemd_analyze("verify", unit).stderr)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_of_the_system_is_shut_in(root: Path, service: str) -> None:
    judged = ("security", "--offline=yes", f"--threshold={MOST_EXPOSED}")
    done = systemd_analyze(*judged, root / SYSTEM / service)
    assert done.returncode == 0, done.stdout
    unit = root / SYSTEM / service
    unit.write_text(re.sub("^(SystemCallFilter|NoNewPrivileges|ProtectSystem)=.*\n", "", unit.read_text(), flags=re.MULTILINE))
    assert systemd_analyze(*judged, unit).returncode != 0


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_runs_is_a_command_with_its_options(root: Path, service: str) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", (root / SYSTEM / service).read_text(), re.MULTILINE)
    program, command, *arguments = shlex.split(line)
    assert program == "/bin/true"
    known = subprocess.run([SWW, command, "--help"], capture_output=True, text=True, check=True).stdout
    assert {option for option in arguments if option.startswith("--") and option not in known} == set()


def test_the_units_run_the_program_that_has_written_them(tmp_path: Path) -> None:
    run("--root", str(tmp_path))
    assert f"ExecStart={SWW} serve " in (tmp_path / SYSTEM / "sww.service").read_text()


def test_the_address_is_that_of_the_socket_and_of_the_server(tmp_path: Path) -> None:
    run("--root", str(tmp_path), "--bind", "0.0.0.0:80", *ANYWHERE)
    assert "\nListenStream=0.0.0.0:80\n" in (tmp_path / SYSTEM / SOCKET).read_text()
    assert " serve --bind 0.0.0.0:80 " in (tmp_path / SYSTEM / "sww.service").read_text()
    assert " bot --url http://127.0.0.1:80\n" in (tmp_path / SYSTEM / "sww-bot.service").read_text()


def test_the_bot_uses_the_model_that_is_named(tmp_path: Path) -> None:
    run("--root", str(tmp_path), "--model", "qwen3:8b", *ANYWHERE)
    assert " bot --url http://127.0.0.1:8787 --model qwen3:8b\n" in (tmp_path / SYSTEM / "sww-bot.service").read_text()


@pytest.mark.parametrize("name", ["two words", "100%", "$HOME", "-x", "", "a\nb"])
def test_a_model_that_a_unit_would_change_is_refused(tmp_path: Path, name: str) -> None:
    refused = run("--root", str(tmp_path), "--model", name, *ANYWHERE, fails=True)
    assert "--model" in str(refused.exception)
    assert not list(tmp_path.iterdir())


def test_the_local_model_is_missed_when_services_are_written_not_when_they_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "find_spec", lambda _: None)
    assert INSTALL in str(run("--root", str(tmp_path), "--model", "local", *ANYWHERE, fails=True).exception)
    assert not list(tmp_path.iterdir())


def test_backups_may_go_to_another_disk(tmp_path: Path) -> None:
    run("--root", str(tmp_path), "--backups", "/mnt/other", *ANYWHERE)
    unit = (tmp_path / SYSTEM / "sww-backup.service").read_text()
    assert "\nReadWritePaths=/mnt/other\n" in unit
    assert unit.count("/mnt/other") == 2


def test_the_directory_of_backups_is_made_without_which_the_service_would_not_start(tmp_path: Path) -> None:
    said = run("--root", str(tmp_path), "--backups", "/mnt/other", *ANYWHERE).output
    assert (tmp_path / "mnt/other").stat().st_mode & 0o777 == 0o700
    assert f"made {tmp_path / 'mnt/other'}\n" in said
    said = run("--root", str(tmp_path), "--backups", "/mnt/other", *ANYWHERE).output
    assert f"{tmp_path / 'mnt/other'} stays as it is; the user sww must be able to write there\n" in said


def test_the_directory_of_backups_is_given_to_the_user_of_the_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Path, str, str]] = []
    monkeypatch.setattr("saywhatwant.commands.install.shutil.chown", lambda *what: given.append(what))
    layout = Layout.of_system()._replace(backups=tmp_path / "other")
    make_backups(layout, None, owner="sww")
    make_backups(layout, None, owner="sww")
    make_backups(Layout.of_system(), None, owner="sww")
    assert given == [(tmp_path / "other", "sww", "sww")]


@pytest.mark.parametrize("place", ["/home/ann/backups", "/tmp/backups", "/mnt/../root/backups"])  # noqa: S108 - none is used
def test_p8_a_directory_of_backups_that_services_of_the_system_do_not_see_is_refused(tmp_path: Path, place: str) -> None:
    refused = run("--root", str(tmp_path), "--backups", place, *ANYWHERE, fails=True)
    assert f"--backups {place} is where services of the system see nothing" in str(refused.exception)
    assert not list(tmp_path.iterdir())


def test_the_secret_is_in_a_file_that_only_its_owner_reads_and_nowhere_else(root: Path) -> None:
    settings = root / "etc/sww/wall.env"
    (secret,) = re.findall(r"^SWW_BOT_TOKEN=(\S{32,})$", settings.read_text(), re.MULTILINE)
    for path in root.rglob("*"):
        if path.is_file() and path != settings:
            assert secret not in path.read_text()
    for path in settings.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = run("--root", str(root), *ANYWHERE)
    assert f"{settings} stays as it is" in again.output
    assert secret in settings.read_text()
    assert secret not in again.output


def test_settings_that_a_killed_install_left_empty_are_written_again_and_appear_whole(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the server would start without a token."""
    settings = root / "etc/sww/wall.env"
    settings.write_text("")
    in_place: list[str] = []

    def put(new: Path, path: Path) -> None:
        assert not path.exists() or not path.stat().st_size or path.suffix != ".env"
        assert (stat.S_IMODE(new.stat().st_mode) == 0o600) == (path.suffix == ".env")
        in_place.append(path.name)
        put_in_place(new, path)

    monkeypatch.setattr(install_module, "put_in_place", put)
    assert f"wrote {settings}" in run("--root", str(root), *ANYWHERE).output
    assert re.search(r"^SWW_BOT_TOKEN=\S{32,}$", settings.read_text(), re.MULTILINE)
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert "wall.env" in in_place
    assert list(root.rglob("*.new")) == []


def test_systemd_starts_the_server_again_however_often_it_fails(root: Path) -> None:
    text = (root / SYSTEM / "sww.service").read_text()
    unit = text[text.index("[Unit]") : text.index("[Service]")]
    assert "\nStartLimitIntervalSec=0\n" in unit


def test_a_dry_run_shows_all_files_without_secrets_and_writes_none(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shown = run("--root", str(elsewhere), "--dry-run", *ANYWHERE).output
    assert not elsewhere.exists()
    for path in (path for path in root.rglob("*") if path.is_file()):
        assert f"# {elsewhere / path.relative_to(root)}\n" in shown
        if path.suffix != ".env":
            assert path.read_text() in shown
    assert "SWW_BOT_TOKEN=(made when it is written)" in shown


def test_remove_leaves_settings_and_what_somebody_else_wrote(root: Path) -> None:
    foreign = root / SYSTEM / "sww-bot.service"
    foreign.write_text("[Service]\nExecStart=/bin/false\n")
    before = {path for path in root.rglob("*") if path.is_file()}
    would = run("--root", str(root), "--remove", "--dry-run").output
    assert {path for path in root.rglob("*") if path.is_file()} == before
    done = run("--root", str(root), "--remove").output
    left = {path for path in root.rglob("*") if path.is_file()}
    assert left == {foreign, root / "etc/sww/wall.env", root / "etc/sww/bot.env"}
    for path in before - left:
        assert f"removed {path}\n" in done
        assert f"would remove {path}\n" in would
    for path in left:
        assert f"{path} stays\n" in done


def test_what_somebody_else_wrote_is_not_overwritten(root: Path) -> None:
    foreign = root / SYSTEM / "sww-bot.service"
    foreign.write_text("[Service]\n")
    refused = run("--root", str(root), *ANYWHERE, fails=True)
    assert f"{foreign} was not written by sww install" in str(refused.exception)
    assert foreign.read_text() == "[Service]\n"


@pytest.mark.parametrize("place", ["/home/ann/venv/bin/sww", "/root/venv/bin/sww"])
def test_a_program_that_services_of_the_system_cannot_see_is_refused(place: str) -> None:
    refused = run("--program", place, "--dry-run", fails=True)
    assert f"{place} is where services of the system see nothing" in str(refused.exception)


def test_the_guide_installs_and_starts_what_the_command_says(tmp_path: Path) -> None:
    (block,) = [block for block in blocks("docs/operate.md") if block.text.startswith("python3 -m venv /opt/sww")]
    *_, installing, starting = block.commands
    assert installing == "/opt/sww/bin/sww install"
    assert run("--root", str(tmp_path), *ANYWHERE).output.splitlines()[-1] == f"Start all of it with: {starting}"


def test_without_the_rights_it_says_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    make_directory(tmp_path / SYSTEM)
    monkeypatch.setattr(Path, "unlink", refuse)
    refused = run("--root", str(tmp_path), *ANYWHERE, fails=True)
    assert "run this as root, or with --user" in str(refused.exception)
