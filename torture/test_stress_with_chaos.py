"""``sww stress`` with thirty tabs, and while server and bots are killed (P4)."""

import re
import subprocess
from pathlib import Path

from conftest import StartServer
from servers import SWW, environment

TABS = 30
SUMMARY = f"{TABS}/{TABS} delivered, {TABS}/{TABS} answered once, 0 doubled, 0 missed by any tab"
LIMIT_SECONDS = "600"


def stress(directory: Path, *arguments: str) -> str:
    """Its output; it must succeed."""
    command = [str(SWW), "stress", "--tabs", str(TABS), "--timeout", LIMIT_SECONDS, *arguments]
    env = environment() | {"COLUMNS": "200"}
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_p4_thirty_tabs_see_every_message_and_its_one_answer(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(command="up")
    assert SUMMARY in stress(tmp_path, "--url", server.url)


def test_p4_so_they_do_while_server_and_bots_are_killed_ten_times(tmp_path: Path) -> None:
    output = stress(tmp_path, "--chaos")
    assert SUMMARY in output
    (kills,) = re.findall(r"^kills +(\d+) .*bot 1 (\d+), bot 2 (\d+), server (\d+)", output, re.MULTILINE)
    assert int(kills[0]) == sum(map(int, kills[1:])) >= 10
    assert all(int(times) > 0 for times in kills)
