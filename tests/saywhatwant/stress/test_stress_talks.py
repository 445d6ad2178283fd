"""``sww stress --talks`` at the prompt: what an entity forgets or mixes up is a miss."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_models import ScriptedModel, recalls
from scripted_server import Asked, ScriptedServer

from conftest import StartServer
from saywhatwant.stress.talk import ASK
from servers import Server
from stress_command import stress

SUMMARY = re.compile(
    r"^(\d+)/(\d+) talks remembered, (\d+) forgotten, (\d+) answers with a stranger's fact, (\d+) messages unanswered, "
    r"(\d+) doubled$",
    re.MULTILINE,
)


@pytest.fixture
def models() -> Iterator[ScriptedServer]:
    with ScriptedServer() as started:
        yield started


@pytest.fixture
def wall(start_server: StartServer, models: ScriptedServer, tmp_path: Path) -> Server:
    """A wall whose entity ``probe`` has the scripted model ``test``."""
    file = tmp_path / "entities.toml"
    lines = ["[probe]", 'display_name = "Probe"', 'color = "070140180"', 'model = "test"', "concurrency = 8"]
    file.write_text("\n".join([*lines, f'base_url = "{models.base_url}"']))
    return start_server(command="up", entities=file)


def talk(wall: Server, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return stress(directory, "--url", wall.url, "--entity", "probe", *arguments)


def figures(done: subprocess.CompletedProcess[str]) -> list[int]:
    assert "Traceback" not in done.stderr
    (found,) = SUMMARY.findall(done.stdout)
    return [int(figure) for figure in found]


def test_a_forgotten_fact_is_a_miss_and_the_exit_status_is_1(wall: Server, models: ScriptedServer, tmp_path: Path) -> None:
    models.scripts["test"] = ScriptedModel("I see.")
    done = talk(wall, tmp_path, "--talks", "2", "--between", "0")
    assert figures(done) == [0, 2, 2, 0, 0, 0], done.stdout
    assert done.returncode == 1
    assert len(re.findall(r"^miss: talk \d \(message [a-z0-9]{10}\): '\w+' was forgotten$", done.stdout, re.MULTILINE)) == 2


def test_a_strangers_fact_is_a_miss_too(wall: Server, models: ScriptedServer, tmp_path: Path) -> None:
    """The model remembers what everybody has told it, and tells the first fact to all."""

    def mixes_up(asked: Asked) -> str:
        told = [turn for earlier in models.asked for turn in earlier.said if turn.startswith("My lucky word is")]
        return f"I know: {told[0]}" if asked.said[-1] == ASK else "I see."

    models.scripts["test"] = ScriptedModel(mixes_up)
    done = talk(wall, tmp_path, "--talks", "3", "--between", "0")
    remembered, of, forgotten, strangers, unanswered, doubled = figures(done)
    assert (remembered, of, forgotten, strangers, unanswered, doubled) == (1, 3, 2, 2, 0, 0)
    assert done.returncode == 1
    assert "an answer has the fact of talk" in done.stdout


def test_p4_a_message_without_an_answer_ends_its_talk_with_the_reason(wall: Server, tmp_path: Path) -> None:
    """The model is not there."""
    done = talk(wall, tmp_path, "--talks", "1")
    assert figures(done) == [0, 1, 0, 0, 7, 0], done.stdout
    assert done.returncode == 1
    assert "has no answer: " in done.stdout
    assert "404" in done.stdout


def test_a_chatbot_is_named_as_one_without_memory_before_it_begins(server: Server, tmp_path: Path) -> None:
    done = stress(tmp_path, "--url", server.url, "--talks", "1", "--timeout", "1")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "eliza is a chatbot of NLTK in the entities file that this command reads, and those have no memory"
    )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--talks", "2", "--tabs", "3"), "--tabs"),
        (("--talks", "2", "--messages", "3"), "--messages"),
        (("--between", "2"), "--between"),
        (("--entities", "file"), "--entities"),
    ],
)
def test_p8_options_that_have_no_effect_together_are_refused(tmp_path: Path, arguments: tuple[str, ...], word: str) -> None:
    done = stress(tmp_path, *arguments)
    assert done.returncode != 0
    assert word in done.stderr


def test_a_fact_that_is_told_is_remembered_and_no_strangers_fact_is_told(
    wall: Server, models: ScriptedServer, tmp_path: Path
) -> None:
    models.scripts["test"] = ScriptedModel(recalls)
    done = talk(wall, tmp_path, "--talks", "6", "--between", "2")
    assert figures(done) == [6, 6, 0, 0, 0, 0], done.stdout
    assert done.returncode == 0
    assert "miss:" not in done.stdout
