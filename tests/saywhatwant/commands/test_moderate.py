"""``sww moderate``: an operator hides, reads, restores and erases messages; and what happens to them in a move."""

import asyncio
from pathlib import Path

import pytest
from terminal import sww
from test_migrate import a_post, on

from conftest import StartServer
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.errors import WrongState
from saywhatwant.message import Message, decode, decode_list
from saywhatwant.topology import Topology, Wall
from servers import Server

HIDDEN = "A sentence that nobody may read."
ERASED = "A sentence that is gone for good."


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server()


def post(server: Server, text: str = HIDDEN) -> str:
    body = {"text": text, "username": "Ann", "color": "169080199"}
    return str(server.http.post("/api/comments", json=body).raise_for_status().json()["id"])


def lines(server: Server, directory: Path, *arguments: str) -> list[str]:
    done = sww(directory, *arguments, "--url", server.url)
    assert (done.status, done.stderr) == (0, "")
    return done.stdout.splitlines()


def on_wall(server: Server) -> dict[str, str]:
    return {one["id"]: one["text"] for one in server.http.get("/api/comments").json()}


def test_messages_are_hidden_read_and_shown_again(server: Server, tmp_path: Path) -> None:
    one, two = post(server), post(server)
    assert lines(server, tmp_path, "moderate", "hide", one, two, one, "--reason", "rude") == [f"hidden {one}", f"hidden {two}"]
    assert on_wall(server) == {one: "", two: ""}
    said, when = lines(server, tmp_path, "moderate", "hidden", one)
    assert said == f"Ann: {HIDDEN}"
    assert when.startswith("hidden 20")
    assert when.endswith(" (rude)")
    assert lines(server, tmp_path, "moderate", "restore", two) == [f"shown {two}"]
    assert on_wall(server) == {one: "", two: HIDDEN}


def test_the_tail_says_which_messages_are_hidden_or_erased(server: Server, tmp_path: Path) -> None:
    one, two = post(server), post(server)
    lines(server, tmp_path, "moderate", "hide", one)
    assert lines(server, tmp_path, "moderate", "erase", two, "--name", "--reason", "the law") == [f"erased {two}"]
    first, second = lines(server, tmp_path, "tail", "--no-follow")
    assert f"Ann (hidden)  {one}" in first
    assert f"hidden (erased)  {two}" in second


def test_p8_what_cannot_be_done_is_said_in_one_line(server: Server, tmp_path: Path) -> None:
    one = post(server)
    arguments = ("--url", server.url)
    assert sww(tmp_path, "moderate", "hide", "nosuchid", *arguments).error == "sww: no message has the id 'nosuchid'"
    assert sww(tmp_path, "moderate", "hidden", one, *arguments).error == "sww: the message is not hidden"
    lines(server, tmp_path, "moderate", "erase", one)
    error = "sww: the message is erased: nobody has its text any more"
    for call in ("restore", "hidden"):
        assert sww(tmp_path, "moderate", call, one, *arguments).error == error
    assert sww(tmp_path, "moderate", "hide").status == 2


# -- Moves


async def moderated(wall: Wall) -> tuple[str, str]:
    """A hidden message, also by its name, and an erased one."""
    hidden = (await wall.post(a_post(HIDDEN, entity="zen"))).id
    await wall.hide(hidden, "rude", name=True)
    erased = (await wall.post(a_post(ERASED, entity="rude"))).id
    await wall.erase(erased)
    return hidden, erased


async def check(wall: Wall, hidden: str, erased: str) -> None:
    messages = {message.id: message for message in decode_list((await wall.read()).body)}
    assert {messages[one].text for one in (hidden, erased)} == {""}
    found = await wall.hidden(hidden)
    assert (found.text, found.username, found.reason) == (HIDDEN, "Human", "rude")
    with pytest.raises(WrongState, match="erased"):
        await wall.hidden(erased)
    restored: Message = decode((await wall.restore(hidden)).message)
    assert (restored.text, restored.username) == (HIDDEN, "Human")


def scrub(data: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(data) as runtime:
            await runtime.scrub()

    asyncio.run(scenario())


@pytest.mark.parametrize("topology", ["single", "per-entity", "hybrid"])
def test_p1_a_hidden_text_moves_with_a_wall_and_an_erased_one_does_not(tmp_path: Path, topology: Topology) -> None:
    hidden, erased = on(tmp_path / "old", topology, moderated)
    file = tmp_path / "file"
    assert sww(tmp_path, "export", "--data", str(tmp_path / "old"), str(file)).status == 0
    assert sww(tmp_path, "import", str(file), "--data", str(tmp_path / "new"), topology=topology).status == 0
    for path in (file, *(tmp_path / "new").iterdir()):
        assert ERASED.encode() not in path.read_bytes()
    on(tmp_path / "new", topology, lambda wall: check(wall, hidden, erased))


@pytest.mark.parametrize(("old", "new"), [("single", "per-entity"), ("per-entity", "single")])
def test_p1_a_change_of_the_topology_keeps_what_is_hidden(tmp_path: Path, old: Topology, new: Topology) -> None:
    data = tmp_path / "data"
    hidden, erased = on(data, old, moderated)
    done = sww(tmp_path, "migrate", "--data", str(data), "--topology", new)
    assert (done.status, done.stderr) == (0, "")
    on(data, new, lambda wall: check(wall, hidden, erased))
    scrub(data)
    assert not [path for path in data.iterdir() if path.is_file() and ERASED.encode() in path.read_bytes()]
