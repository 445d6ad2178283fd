"""``sww stress`` with thirty tabs or ten talks, and while server and bots are killed (P4)."""

import re
import subprocess
from pathlib import Path

from field_wall import entities_toml
from scripted_models import ScriptedModel, recalls
from scripted_server import ScriptedServer

from conftest import StartServer
from servers import SWW, environment

TABS = 30
TALKS = 10
SUMMARY = f"{TABS}/{TABS} delivered, {TABS}/{TABS} answered once, 0 doubled, 0 missed by any tab"
LIMIT_SECONDS = "600"


def stress(directory: Path, *arguments: str) -> str:
    """Its output; it must succeed."""
    command = [str(SWW), "stress", "--timeout", LIMIT_SECONDS, *arguments]
    env = environment() | {"COLUMNS": "200"}
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_p4_thirty_tabs_see_every_message_and_its_one_answer(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(command="up")
    assert SUMMARY in stress(tmp_path, "--tabs", str(TABS), "--url", server.url)


def test_p4_so_they_do_while_server_and_bots_are_killed_ten_times(tmp_path: Path) -> None:
    output = stress(tmp_path, "--tabs", str(TABS), "--chaos")
    assert SUMMARY in output
    (kills,) = re.findall(r"^kills +(\d+) .*bot 1 (\d+), bot 2 (\d+), server (\d+)", output, re.MULTILINE)
    assert int(kills[0]) == sum(map(int, kills[1:])) >= 10
    assert all(int(times) > 0 for times in kills)


def test_p4_facts_are_remembered_while_server_and_bots_are_killed_ten_times(tmp_path: Path) -> None:
    """By an entity with a window of 1,024 tokens; each visitor gets its own fact back and no other."""
    with ScriptedServer({"probe": ScriptedModel(recalls, window=1_024)}) as models:
        file = tmp_path / "entities.toml"
        file.write_text(entities_toml(models.base_url, {"probe": {"concurrency": 8}}))
        arguments = ("--talks", str(TALKS), "--between", "40", "--entity", "probe", "--entities", str(file), "--chaos")
        output = stress(tmp_path, *arguments)
    assert f"{TALKS}/{TALKS} talks remembered, 0 forgotten, 0 answers with a stranger's fact, 0 messages unanswered" in output
    (kills,) = re.findall(r"^kills +(\d+) ", output, re.MULTILINE)
    assert int(kills) == 10
