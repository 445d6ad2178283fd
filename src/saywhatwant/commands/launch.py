"""``python -m saywhatwant.commands.launch DESCRIPTOR,… PROGRAM ARGUMENT…``: become that program, with descriptors from 3 on.

Only the process that runs the program knows its id, by which it recognises that the descriptors are meant for it.
"""

import fcntl
import os
import sys

FIRST_DESCRIPTOR = 3
"""The first one that systemd's protocol passes on."""


def launch(descriptors: list[int], command: list[str]) -> None:
    """Replace this process."""
    above = FIRST_DESCRIPTOR + len(descriptors)
    copies = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, above) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for number, copy in enumerate(copies, FIRST_DESCRIPTOR):
        os.dup2(copy, number)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.execv(command[0], command)  # noqa: S606 - there is no shell to start


if __name__ == "__main__":
    launch([int(number) for number in sys.argv[1].split(",")], sys.argv[2:])
