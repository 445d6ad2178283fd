"""``sww install``: the wall as services of systemd."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import click

from durable_objects.files import make_directory, put_in_place
from saywhatwant.addresses import url_from_here
from saywhatwant.commands import options
from saywhatwant.commands.unit_files import PRIVATE_MODE, SERVICES, SOCKET, UNIT_MODE, Layout, UnitFile, is_ours, unit_files
from saywhatwant.errors import ExpectedError
from saywhatwant.settings import load

USER = "sww"
"""Who runs the services of the system; see ``units/sww.sysusers``."""
BOOTED = Path("/run/systemd/system")
"""Where systemd runs this machine."""
HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - none is used
"""What a service with ``ProtectHome`` and ``PrivateTmp`` does not see."""

_MODEL = re.compile(r"[A-Za-z0-9._:/@+][A-Za-z0-9._:/@+-]*")


class InstallRefused(ExpectedError):
    """The services cannot be installed, or not here."""


@click.command()
@options.bind
@click.option("--user", is_flag=True, help="For this user, without root: they run while the user is logged in, or lingers.")
@click.option("--backups", type=options.PATH, show_default="beside the data", help="The directory of the backups.")
@options.model
@click.option("--program", type=options.PATH, show_default="this one", help="The sww that the services run.")
@click.option("--root", type=options.PATH, help="Write below this directory, as for an image of another machine.")
@click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing.")
@click.option("--remove", is_flag=True, help="Stop the services and remove their files; settings and data stay.")
def install(
    *,
    bind: str | None,
    user: bool,
    backups: Path | None,
    model: str | None,
    program: Path | None,
    root: Path | None,
    dry_run: bool,
    remove: bool,
) -> None:
    """Write the wall's services for systemd: server, bot and backups. See docs/operate.md."""
    settings = load(bind=bind, bot_token="0" * 16)  # the services have one of their own
    program = (program or Path(sysconfig.get_path("scripts")) / "sww").absolute()
    layout = Layout.of_user() if user else Layout.of_system()
    if model is not None:
        _check_model(model)
    if backups is not None:
        layout = layout._replace(backups=backups.absolute())
    if not (user or remove):
        _check_backups(layout.backups)
        _check_visible(program, root)
    url = url_from_here(settings.host, settings.port)
    files = unit_files(layout, program=program, bind=settings.bind, url=url, model=model)
    systemctl = _systemctl(user=user) if root is None and BOOTED.is_dir() and not dry_run else None
    if remove:
        _remove(files, root, dry_run=dry_run, systemctl=systemctl)
        return
    for file in files:
        _write(file, root, dry_run=dry_run)
    if dry_run:
        return
    enable = f"systemctl {'--user ' if user else ''}enable --now {' '.join((SOCKET, *SERVICES))}"
    if systemctl is not None:
        if not user:
            _run(["systemd-sysusers"])
        _run([*systemctl, "daemon-reload"])
    make_backups(layout, root, owner=USER if systemctl is not None and layout.is_system else None)
    click.echo(f"Start all of it with: {enable}")


def _write(file: UnitFile, root: Path | None, *, dry_run: bool) -> None:
    path = _below(root, file.path)
    if dry_run:
        click.echo(f"# {path}\n{file.shown}")
        return
    try:
        if file.is_settings and path.exists() and path.stat().st_size:  # an empty one is no choice of anybody
            click.echo(f"{path} stays as it is")
            return
        if not file.is_settings and path.exists() and not is_ours(path.read_text(encoding="utf-8")):
            raise InstallRefused(f"{path} was not written by sww install; move it away first")
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)  # of a command that was killed
        mode = PRIVATE_MODE if file.is_settings else UNIT_MODE  # nobody may read a secret, not even for a moment
        with open(new, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as opened:
            opened.write(file.text)
        put_in_place(new, path)
    except PermissionError as error:
        raise InstallRefused(f"{path} cannot be written: run this as root, or with --user") from error
    click.echo(f"wrote {path}")


def _remove(files: list[UnitFile], root: Path | None, *, dry_run: bool, systemctl: list[str] | None) -> None:
    written = [path for file in files if not file.is_settings and (path := _below(root, file.path)).exists()]
    ours = [path for path in written if is_ours(path.read_text(encoding="utf-8"))]
    if systemctl is not None and ours:
        units = [path.name for path in ours if path.suffix in {".service", ".socket"}]
        _run([*systemctl, "disable", "--now", *units])
    for path in ours:
        if not dry_run:
            path.unlink()
        click.echo(f"{'would remove' if dry_run else 'removed'} {path}")
    if systemctl is not None:
        _run([*systemctl, "daemon-reload"])
    kept = [path for file in files if file.is_settings and (path := _below(root, file.path)).exists()]
    for path in (*kept, *[path for path in written if path not in ours]):
        click.echo(f"{path} stays")


def _below(root: Path | None, path: Path) -> Path:
    return path if root is None else root.absolute() / path.relative_to("/")


def _check_visible(program: Path, root: Path | None) -> None:
    """Raise ``InstallRefused`` for a program that a service of the system cannot run."""
    if root is not None:  # of another machine
        return
    package = Path(__file__)
    for path in (program, package, Path(sys.base_prefix)):
        if any(path.resolve().is_relative_to(hidden) for hidden in HIDDEN):
            raise InstallRefused(
                f"{path.resolve()} is where services of the system see nothing: install the program elsewhere, such as in "
                "/opt/sww, with a Python that is not in somebody's home, or use --user"
            )


def _check_model(model: str) -> None:
    """Raise ``InstallRefused`` for a name that a unit may change, ``LocalModelMissing`` if ``local`` is not there."""
    if not _MODEL.fullmatch(model):
        raise InstallRefused(f"--model {model!r} must be of A-Z, a-z, 0-9 and . _ : / @ + -, and not begin with -")
    if model == "local":
        from saywhatwant.models.local import weights

        weights()


def _check_backups(directory: Path) -> None:
    """Raise ``InstallRefused`` for a directory that a service of the system does not see, or finds empty at each start."""
    if any(directory.resolve().is_relative_to(hidden) for hidden in HIDDEN):
        raise InstallRefused(
            f"--backups {directory} is where services of the system see nothing: choose another place, such as a disk in /mnt"
        )


def make_backups(layout: Layout, root: Path | None, owner: str | None) -> None:
    """Make the directory of backups, without which the service does not start, unless it is where the service makes it."""
    if layout.backups.parent == layout.data.parent:
        return
    path = _below(root, layout.backups)
    if path.is_dir():
        click.echo(f"{path} stays as it is" + (f"; the user {USER} must be able to write there" if layout.is_system else ""))
        return
    try:
        make_directory(path.parent)
        path.mkdir(mode=0o700)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InstallRefused(f"--backups {path} cannot be made: {error.strerror}") from error
    if owner is not None:
        shutil.chown(path, owner, owner)
    click.echo(f"made {path}")


def _systemctl(*, user: bool) -> list[str] | None:
    found = shutil.which("systemctl")
    return (found and [found, *(["--user"] if user else [])]) or None


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - systemd's own programs
    if done.returncode:
        raise InstallRefused(f"{' '.join(command)} failed: {done.stderr.strip()}")
