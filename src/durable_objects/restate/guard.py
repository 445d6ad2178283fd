"""A program that runs another one, in its own process group, and ends with it: ``python guard.py COMMAND ARGUMENT...``.

Its standard input is a pipe whose other end belongs to the process that started it. The kernel closes that end however that
process ends, by SIGKILL too; then the whole group is killed. So nothing is left behind, whichever thread started it and on
every Unix. (Linux could send a signal when a parent dies, but means the thread that forked, which may end long before.)
"""

import os
import signal
import subprocess
import sys
import threading


def _end_with_the_pipe() -> None:
    os.read(0, 1)  # returns at the end of the pipe: nobody writes to it
    os.killpg(0, signal.SIGKILL)  # this process too


def main() -> int:
    """Run the command; returns its exit status, or minus the signal that ended it."""
    # Stopping is the command's business. A handler, since what is ignored would be ignored by the command too.
    signal.signal(signal.SIGTERM, lambda *_: None)
    # With what it was given: sockets to listen on, locks to hold.
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, close_fds=False)  # noqa: S603 - what it is for
    threading.Thread(target=_end_with_the_pipe, daemon=True).start()
    return command.wait()


if __name__ == "__main__":
    sys.exit(main())
