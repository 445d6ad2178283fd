"""Every command that README.md, CONTRIBUTING.md and the guides show runs here, in order.

Those for backups run in test_backup_guide, and those of the tutorial in test_tutorial.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

import test_deploy
from deployments import Deployment
from documents import DOCUMENTS, ROOT, Block, blocks, inline_code, names_of_tests
from servers import DEADLINE_SECONDS, SWW, Server, environment, until
from test_backup_guide import BACKUP, FOLLOW, FORGET, RESTORE
from test_tutorial import TUTORIAL

SHOWN = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS if path.name not in {"ARCHITECTURE.md", "CHANGELOG.md"}]
RUN_HERE = [document for document in SHOWN if document != TUTORIAL]
BLOCKS = [block for document in RUN_HERE for block in blocks(document) if block.language not in {"html", "json"}]
"""All but what goes into a page of another site: test_page_embed does that."""
SHOWN_URL = "http://127.0.0.1:8787"
CHANGING = [
    (r"(?:(?<=posted as )|(?<=answers )|(?<=  ))[a-z0-9]{10}\b", "ID"),
    (r"\b\d\d:\d\d:\d\d\b", "TIME"),
    (r"(?<=Eliza ).*(?=  ID)", "ANSWER"),
    (r"(?<=bot )\S+ \S+, seen .* ago, personas \w+", "BOT"),
]
"""What differs from run to run in the output of a command."""


@pytest.fixture(scope="module")
def server(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The wall with a bot, as ``make up`` runs it."""
    with Server(tmp_path_factory.mktemp("server"), command="up", deployment=deployment) as started:
        yield started


def run_sww(server: Server, arguments: list[str]) -> str:
    done = subprocess.run(
        [SWW, *arguments],
        cwd=server.directory,
        env=environment(bind=server.url.removeprefix("http://")) | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_curl(server: Server, arguments: list[str]) -> str:
    """Send the request that curl would send."""
    (url,) = [argument for argument in arguments if argument.startswith(SHOWN_URL)]
    body = dict(pairwise(arguments)).get("-d")
    answer = server.http.request("GET" if body is None else "POST", url.removeprefix(SHOWN_URL), content=body)
    assert answer.status_code == 200, answer.text
    return answer.text


def run_make(arguments: list[str]) -> str:
    """Ask make what it would do: that the target is there, and its commands can be read."""
    done = subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ""


def run_python(arguments: list[str]) -> str:
    """Check that a pytest command names tests; they run with the others."""
    assert arguments[:2] == ["-m", "pytest"], arguments
    path = arguments[2]
    assert (ROOT / path).exists(), path
    word = dict(pairwise(arguments)).get("-k", "")
    assert any(word in name for name in names_of_tests(path)), arguments
    return ""


def run(server: Server, command: str) -> str:
    program, *arguments = shlex.split(command)
    match program.removeprefix(".venv/bin/"):
        case "sww":
            return run_sww(server, arguments)
        case "curl":
            return run_curl(server, arguments)
        case "make":
            return run_make(arguments)
        case "python":
            return run_python(arguments)
    raise AssertionError(f"no test knows how to run {command!r}")


def pattern(output: str) -> list[str]:
    """The lines of an output, with a word for what differs from run to run."""
    for changing, word in CHANGING:
        output = re.sub(changing, word, output)
    return output.splitlines()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}: {block.text.splitlines()[0][:40]}")
def test_a_shown_block_runs_as_it_is_shown(server: Server, block: Block, tmp_path: Path) -> None:
    if block.language == "python":
        subprocess.run([sys.executable, "-c", block.text], cwd=tmp_path, check=True, timeout=DEADLINE_SECONDS)
        return
    if block.text in {BACKUP, FOLLOW, RESTORE, FORGET} or block.text.startswith(("sww migrate", "sww export", "sww token")):
        return  # test_backup, test_migrate, test_export and test_token run them
    if block.text.startswith(("python3 -m venv /opt/sww", "docker build")):
        return  # they change the machine; test_install_command and test_container compare them with what there is
    if test_deploy.PROGRAM in block.text or "deploy/cloudflare/serve.py" in block.text:
        return  # test_deploy and test_serve run them
    output = ""
    for command in block.commands:
        output += f"$ {command}\n{run(server, command)}"
        until(lambda: server.http.get("/api/stats").json()["backlog"] == 0, "an answer to what was posted")
    if block.language == "console":
        assert pattern(output) == pattern(block.text)


def test_the_python_of_the_readme_counts_on_when_it_runs_again(tmp_path: Path) -> None:
    (script,) = [block.text for block in BLOCKS if block.language == "python" and block.document == "README.md"]
    command = [sys.executable, "-c", script]
    runs = [subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert runs == ["1\n", "2\n"]


BANS, FILTERS = ("ban", "unban", "bans"), ("filter", "unfilter", "filters", "slow")
REVIEW = ("review", "approve", "reject", "reports", "dismiss", "audit")
SUBCOMMANDS = {
    *(("queue", action) for action in ("show", "retry", "fail", "discard")),
    *(("moderate", action) for action in ("hide", "hidden", "restore", "erase", *BANS, *FILTERS, *REVIEW)),
    *(("token", action) for action in ("add", "list", "revoke")),
}


@cache
def help_of(*command: str) -> str:
    """What ``sww COMMAND --help`` prints."""
    environment = os.environ | {"COLUMNS": "200"}
    done = subprocess.run([SWW, *command, "--help"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("document", SHOWN)
def test_commands_named_in_a_text_exist_with_their_options(document: str) -> None:
    for code in inline_code(document):
        program, *arguments = code.removeprefix(".venv/bin/").split()
        if program == "make" and arguments:
            run_make(arguments)
        if program == "sww" and arguments and arguments[0].islower():
            options = {argument for argument in arguments if argument.startswith("--")}
            command = arguments[: 2 if tuple(arguments[:2]) in SUBCOMMANDS else 1]
            assert {option for option in options if option not in help_of(*command)} == set(), code
