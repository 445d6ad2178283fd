"""A server that nobody has used, made of this machine: a test installs, configures and runs what it likes, and nothing stays.

It has its own mounts: ``/etc``, ``/usr`` and ``/var`` are those of this machine, and what is written there is gone at the end.
``/home``, ``/run`` and ``/tmp`` are empty. Processes are its own, and all of them end with it. It has a network of its own too,
with a loopback of which every port is free; what runs online has this machine's.

``python tests/fresh_server.py`` exits with 0 where it can be made: it needs root, overlayfs, and what a ``UserManager`` needs.
"""

import os
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self
from uuid import uuid4

from children import descendants
from servers import until
from systemd_manager import SYSTEMD, hierarchies, removed

USER = "ada"
PATIENCE_SECONDS = 30 * 60
"""A script that takes longer hangs. Some fetch hundreds of megabytes, on a machine that has other work."""
_LINGER = f"""#!/bin/sh
# Instead of logind, which needs a machine that systemd has started: the account's service manager, as enable-linger starts it.
[ "$*" = "enable-linger {USER}" ] || {{ echo "there is no logind for: $*" >&2; exit 1; }}
for group in GROUPS; do echo $$ >"$group/cgroup.procs" || exit 1; done
id=$(id -u {USER})
setsid setpriv --reuid={USER} --regid={USER} --init-groups --reset-env env XDG_RUNTIME_DIR=/run/user/$id \
    SYSTEMD_LOG_TARGET=console {SYSTEMD} --user </dev/null >/run/manager.log 2>&1 &
until [ -e /run/user/$id/systemd/private ]; do sleep 0.1; done
"""
_BEGIN = f"""
set -e
mkdir "$1/layers" "$1/home"
install -d -m 1777 "$1/tmp"
mount -t tmpfs tmpfs "$1/layers"
for of in etc usr var; do
    mkdir -p "$1/layers/$of/upper" "$1/layers/$of/work"
    mount -t overlay -o "lowerdir=/$of,upperdir=$1/layers/$of/upper,workdir=$1/layers/$of/work" overlay "/$of"
done
mount --bind "$1/home" /home
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d  # packages start no services, as where nothing can
chmod 755 /usr/sbin/policy-rc.d
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "$1/tmp" /tmp
mkdir -p /run/systemd/system /run/lock
useradd --create-home --shell /bin/bash {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}
install -d -m 700 -o {USER} -g {USER} "/run/user/$(id -u {USER})"
printf %s "$LINGER" | sed "s|GROUPS|$2|" >/run/loginctl
chmod 755 /run/loginctl
mount --bind /run/loginctl "$(command -v loginctl)"
chown -R {USER} $2
echo ready
exec cat
"""
_OFFLINE = "ip link set lo up && echo ready && exec cat"


class FreshServer:
    """The server, with an account that may use sudo. A context manager; ``directory`` is on disk, and empty."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        name = f"sww-test-{uuid4()}"
        self._groups = [parent / name for parent in hierarchies()]
        self._processes = ExitStack()

    def __enter__(self) -> Self:
        for group in self._groups:
            group.mkdir()
        arguments = ["sh", str(self._directory), " ".join(map(str, self._groups))]
        kept = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", _BEGIN, *arguments]
        try:
            self._online = ["nsenter", "--target", str(self._started(kept)), "--mount", "--pid"]
            offline = self._started([*self._online, "unshare", "--net", "sh", "-c", _OFFLINE])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._offline = [*self._online, f"--net=/proc/{offline}/ns/net"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._processes.close()
        for group in self._groups:
            until(lambda group=group: removed(group), "the end of all processes")  # type: ignore[misc]

    @property
    def home(self) -> Path:
        """The account's home, as this machine sees it."""
        return self._directory / "home" / USER

    def run(self, script: str, *, user: str = USER, is_online: bool = False) -> str:
        """What a script prints, on both outputs, in a login of its own; it ends at the first command that fails.

        Raises:
            AssertionError: one has failed; the message has all that was printed.
        """
        command = [*(self._online if is_online else self._offline), "su", "--login", user]
        command += ["--command", f"XDG_RUNTIME_DIR=/run/user/$(id -u) exec bash -e -c {shlex.quote(script)}"]
        done = subprocess.run(
            command,
            env={"PATH": os.environ["PATH"], "TERM": "dumb"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def _started(self, command: list[str]) -> int:
        """The process that keeps namespaces, and ends with this one."""
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"LINGER": _LINGER}, text=True
        )
        self._processes.callback(_end, process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "no server can be made of this machine"
        (kept,) = descendants(process.pid)
        return kept


def _end(process: subprocess.Popen[str]) -> None:
    with process:  # closes its pipes
        process.kill()


if __name__ == "__main__":
    try:
        with TemporaryDirectory() as directory, FreshServer(Path(directory)) as server:
            server.run(f"sudo loginctl enable-linger {USER} && systemctl --user start basic.target")
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"no server can be made of this machine: {error}")
