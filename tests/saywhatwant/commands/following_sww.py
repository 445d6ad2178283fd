"""``sww`` whose backups look at the data all the time, so that a test need not wait for what they do every few seconds."""

from saywhatwant.commands import backup_loop
from saywhatwant.commands.entry import main

backup_loop.FOLLOW_SECONDS = 0.02

if __name__ == "__main__":
    main()
