"""A systemd of a test's own: a user's service manager, which has a /run and a control group of its own.

Never a manager of the system (``--system``): that sets the kernel up and cleans the machine's /tmp, also from a namespace.

``python tests/systemd_manager.py`` exits with 0 where it runs: it needs root, systemd, and control groups that can be changed.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self
from uuid import uuid4

from servers import DEADLINE_SECONDS, environment, until

SYSTEMD = "/lib/systemd/systemd"
GROUPS = Path("/sys/fs/cgroup")
MASKED = ("systemd-tmpfiles-setup.service", "systemd-tmpfiles-clean.service", "systemd-tmpfiles-clean.timer")
"""They remove files, and the manager shares those of the machine."""
BEGIN = """
for group in "$@"; do echo $$ >"$group/cgroup.procs" || exit 1; done
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec "$SYSTEMD" --user --unit=basic.target
"""


class UserManager:
    """A service manager for units in ``home``. A context manager, which ends it and all its services."""

    def __init__(self, home: Path) -> None:
        self._runtime = home / "run"
        self._runtime.mkdir(mode=0o700)
        self.environment = environment() | {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(self._runtime),
            "SYSTEMD": SYSTEMD,
            "SYSTEMD_LOG_TARGET": "console",
            "SYSTEMD_PAGER": "",
        }
        for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            self.environment.pop(name, None)
        units = home / ".config/systemd/user"
        units.mkdir(parents=True)
        for unit in MASKED:
            (units / unit).symlink_to("/dev/null")
        name = f"sww-test-{uuid4()}"
        self._groups = [parent / name for parent in hierarchies()]
        self._log = home / "systemd.log"

    def __enter__(self) -> Self:
        for group in self._groups:
            group.mkdir()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "sh", "-c", BEGIN, "sh", *map(str, self._groups)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._is_there, "systemd")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(DEADLINE_SECONDS)
        for group in self._groups:
            until(lambda group=group: removed(group), "the end of all services")  # type: ignore[misc]

    def systemctl(self, *words: str) -> str:
        """What ``systemctl --user`` prints; it must succeed."""
        command = ["nsenter", "--target", str(self._process.pid), "--mount", "systemctl", "--user", *words]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _is_there(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        return (self._runtime / "systemd/private").exists()


def hierarchies() -> Iterator[Path]:
    """Where systemd has its control groups: one place, or two on a machine with the first version of control groups too."""
    if (GROUPS / "cgroup.procs").exists():
        yield GROUPS
    else:
        yield from (GROUPS / "systemd", GROUPS / "unified")


def removed(group: Path) -> bool:
    """Remove a control group, if its processes have ended; returns whether it is gone."""
    for below in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        with suppress(OSError):
            below.rmdir()
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


if __name__ == "__main__":
    try:
        with TemporaryDirectory() as directory, UserManager(Path(directory)) as manager:
            manager.systemctl("start", "basic.target")
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"systemd does not run here: {error}")
