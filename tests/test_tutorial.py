"""The tutorial, from start to finish: a new account on a server that nobody has used follows its text, and nothing else.

All commands run as they are shown, also with sudo: nginx, the certificate, the model and the services are real. The test itself

- does logind's part of ``loginctl enable-linger``, which needs a machine that systemd has started (see ``fresh_server``),
- starts nginx, as its package does where systemd runs, and
- waits, as a reader does, until the wall has answered a post, and until nginx has read its new configuration.

Each section begins with a new login, as on another day.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from documents import ROOT, Block, blocks, sections
from fresh_server import USER, FreshServer

TUTORIAL = "docs/tutorial.md"
HEADINGS = list(sections(TUTORIAL))
BEGIN = "=== command "
ANSWERED = """
until curl --silent http://127.0.0.1:8787/api/stats | grep --quiet '"backlog":0[,}]'; do sleep 0.5; done
"""
THROUGH_NGINX = """
until curl --silent --fail --output /dev/null https://wall.example/healthz; do sleep 0.5; done
"""
CHANGING = [
    (r"(?:(?<=posted as )|(?<=answers )|(?<=  )|(?<=\"id\":\"))[a-z0-9]{10}\b", "ID"),
    (r"\b\d\d:\d\d:\d\d\b", "TIME"),
    (r"\b\d{4}-\d\d-\d\dT[\d:.]+Z\b|\b\d{8}T\d{6}Z\b", "TIME"),
    (r"(?<=\"timestamp\":)\d+", "TIME"),
    (r"(?<=TIME (?:Zen|Eli)).*(?=  ID answers)", "ANSWER"),
    (r"\d+ changes?", "CHANGES"),
]
"""What differs from run to run in the output of a command."""
VISITORS = """
import asyncio, json, ssl
import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

URL = "wss://wall.example/api/ws"
POST = {"text": "Seen at once", "username": "Eve", "color": "070140180", "botParams": {"answer": False}}

async def main():
    async with connect(URL) as socket:  # it trusts what the machine trusts
        await socket.recv()
        with httpx.Client(verify=ssl.create_default_context()) as http:
            posted = http.post("https://wall.example/api/comments", json=POST).raise_for_status().json()
        while posted["id"] not in await socket.recv():
            pass
    opened = []
    for number in range(64):
        claimed = {"X-Forwarded-For": f"192.0.2.{number}"}
        opened.append(await connect(URL, local_addr=("127.0.0.3", 0), additional_headers=claimed))
    try:
        await connect(URL, local_addr=("127.0.0.3", 0), additional_headers={"X-Forwarded-For": "192.0.2.64"})
    except InvalidStatus as refused:
        assert refused.response.status_code == 429, refused
    else:
        raise AssertionError("a visitor has more than 64 pages open")
    await (await connect(URL, local_addr=("127.0.0.4", 0))).close()

asyncio.run(main())
"""
"""A page gets what another visitor posts, over nginx; each address may open as many as the settings say, and cannot lie."""
SIGN_IN = """
import ssl, sys
import httpx

with httpx.Client(base_url="https://wall.example", verify=ssl.create_default_context()) as http:
    assert http.get("/ops").status_code == 200
    assert http.get("/api/ops/figures").status_code == 401
    signed_in = http.post("/api/ops/sign-in", json={"token": sys.argv[1]}, headers={"Origin": "https://wall.example"})
    assert signed_in.status_code == 200, signed_in.text
    assert "; Secure" in signed_in.headers["set-cookie"]
    assert http.get("/api/ops/figures").status_code == 200
"""


@pytest.fixture(scope="module")
def server() -> Iterator[FreshServer]:
    """A server with this repository in the account's home."""
    with TemporaryDirectory() as directory, FreshServer(Path(directory)) as made:
        repository = made.home / "saywhatwant"
        repository.mkdir()
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True
        )
        pack = ["tar", "--create", "--null", "--files-from=-", "--ignore-failed-read"]
        packed = subprocess.run(pack, cwd=ROOT, input=listed.stdout, check=True, capture_output=True)
        subprocess.run(["tar", "--extract"], cwd=repository, input=packed.stdout, check=True)
        made.run(f"chown --recursive {USER}: /home/{USER}", user="root")
        yield made


def script_of(block: Block) -> str:
    """A block as a person types it: each command of a ``console``, else the whole."""
    commands = block.commands if block.language == "console" else [block.text]
    lines = []
    for command in commands:
        lines.append(f"echo '{BEGIN}'\n{command}\n")
        if command.startswith(("sww post", "curl")):
            lines.append(f"echo\n{ANSWERED}")
    return "".join(lines)


def outputs(printed: str) -> list[list[str]]:
    """The lines that each command has printed, with a word for what differs from run to run."""
    for changing, word in CHANGING:
        printed = re.sub(changing, word, printed)
    return [[line for line in part.splitlines() if line] for part in printed.split(f"{BEGIN}\n")[1:]]


def expected(block: Block) -> list[list[str]]:
    """What a block says that each of its commands prints."""
    return outputs(re.sub(r"^\$ .*$", BEGIN, block.text, flags=re.MULTILINE))


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_section_of_the_tutorial_works_in_a_fresh_account(server: FreshServer, heading: str) -> None:
    if heading == "Open it to the world":
        server.run("nginx", user="root")
    shown = blocks(TUTORIAL, heading)
    printed = server.run("".join(map(script_of, shown)), is_online=heading == "Install it")
    found = iter(outputs(printed))
    for block in shown:
        if block.language == "console":
            assert [next(found) for _ in block.commands] == expected(block)
        else:
            next(found)
    if heading == "Open it to the world":
        server.run(THROUGH_NGINX)
    if heading == "See that it works":
        assert checks_passed(printed) >= {"clock", "ready", "sockets", "bots"}, printed
        server.run(python(VISITORS))
        token = printed.split()[-1]
        server.run(python(SIGN_IN, token))
    if heading == "The next day":
        assert checks_passed(printed) >= {"data", "integrity", "ready", "sockets", "bots"}, printed


def checks_passed(printed: str) -> set[str]:
    """What ``sww doctor`` has found to be well."""
    return set(re.findall(r"^ok +(\w+)", printed, re.MULTILINE))


def python(script: str, *arguments: str) -> str:
    """A command that runs a script with the libraries of the account's wall."""
    return shlex.join([f"/home/{USER}/saywhatwant/.venv/bin/python", "-c", script, *arguments])
