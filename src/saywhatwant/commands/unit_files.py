"""The files of the wall's services, made from those in ``units/``."""

import secrets
from pathlib import Path
from string import Template
from typing import NamedTuple, Self

UNITS = Path(__file__).parent / "units"
SOCKET = "sww.socket"
SERVICES = ("sww.service", "sww-bot.service", "sww-backup.service")
USERS = "sww.sysusers"
MARK = "# Written by sww install"
PRIVATE_MODE = 0o600
UNIT_MODE = 0o644
HIDDEN_TOKEN = "(made when it is written)"  # noqa: S105 - stands for one
_FAMILIES = "AF_INET AF_INET6 AF_UNIX"


class Layout(NamedTuple):
    """Where the parts are."""

    units: Path
    config: Path
    """Settings and secrets."""
    data: Path
    backups: Path
    is_system: bool

    @classmethod
    def of_system(cls) -> Self:
        """For all of this machine."""
        state = Path("/var/lib")
        return cls(Path("/etc/systemd/system"), Path("/etc/sww"), state / "sww", state / "sww-backups", is_system=True)

    @classmethod
    def of_user(cls) -> Self:
        """For one user."""
        config, share = Path.home() / ".config", Path.home() / ".local/share"
        return cls(config / "systemd/user", config / "sww", share / "sww", share / "sww-backups", is_system=False)


class UnitFile(NamedTuple):
    """One file."""

    path: Path
    text: str
    is_settings: bool = False
    """Whether it is the operator's once it is there, and only its owner may read it."""
    shown: str = ""
    """The text without secrets."""


def is_ours(text: str) -> bool:
    """Whether a file is one of these."""
    return text.startswith(MARK)


def unit_files(layout: Layout, *, program: Path, bind: str, url: str, model: str | None = None) -> list[UnitFile]:
    """All files, each with where it goes; with ``model``, the bot uses that one for all entities."""
    made = secrets.token_urlsafe(32)
    common = {
        "program": program,
        "bind": bind,
        "url": url,
        "model": "" if model is None else f" --model {model}",
        "data": layout.data,
        "config": layout.config,
        "backups": layout.backups,
        "target": "multi-user.target" if layout.is_system else "default.target",
    }

    def filled(name: str, **more: str) -> str:
        return Template((UNITS / name).read_text(encoding="utf-8")).substitute(common, **more)

    def unit(name: str, *, owner: str = "", families: str = _FAMILIES) -> UnitFile:
        hardening = filled("hardening.system" if layout.is_system else "hardening.user", families=families).rstrip()
        text = filled(name, owner=owner, hardening=hardening)
        return UnitFile(layout.units / name, text, shown=text)

    def settings(name: str) -> UnitFile:
        text, shown = filled(name, token=made), filled(name, token=HIDDEN_TOKEN)
        return UnitFile(layout.config / name, text, is_settings=True, shown=shown)

    server, bot, backup = SERVICES
    offline = "PrivateNetwork=yes\n" if layout.is_system else ""
    files = [
        unit(SOCKET),
        unit(server, owner=_owner(layout, layout.data)),
        unit(bot, owner="DynamicUser=yes\n" if layout.is_system else ""),
        unit(backup, owner=_owner(layout, layout.data, layout.backups) + offline, families="AF_UNIX"),
        settings("wall.env"),
        settings("bot.env"),
    ]
    if layout.is_system:
        text = filled(USERS)
        files.append(UnitFile(Path("/etc/sysusers.d/sww.conf"), text, shown=text))
    return files


def _owner(layout: Layout, *directories: Path) -> str:
    """Who runs a service, and the directories that it may write."""
    if not layout.is_system:
        return ""
    state = Path("/var/lib")
    made = [directory.relative_to(state) for directory in directories if directory.is_relative_to(state)]
    others = [directory for directory in directories if not directory.is_relative_to(state)]
    lines = ["User=sww", f"StateDirectory={' '.join(map(str, made))}", "StateDirectoryMode=0700"]
    return "".join(f"{line}\n" for line in (*lines, *(f"ReadWritePaths={directory}" for directory in others)))
