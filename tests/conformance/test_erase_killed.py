"""SIGKILL at many moments of an erase: nothing is lost or half done, and the same call again does the rest (P1)."""

import secrets
from collections.abc import Iterator

import httpx
import pytest
from calls import Json, message, post, read, said

import strace
from conftest import MakeServer
from servers import Server, until

pytestmark = [
    pytest.mark.needs("own disk"),
    pytest.mark.one_deployment("the steps on the disk are the same for all"),
]

NEIGHBORS = 200
MOMENTS = [
    *(("fdatasync", number) for number in (1, 2, 3, 4)),
    *(("pwrite64", number) for number in (1, 3, 6, 12, 30, 60, 100, 150)),
    *(("ftruncate", number) for number in (1, 2)),
]
"""The system calls of the thread that writes: for the commits, for the file that is made again, and for its checkpoint."""


@pytest.fixture(scope="module")
def wall(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with make_server(tmp_path_factory.mktemp("killed"), retention=100_000) as server:
        for number in range(NEIGHBORS):
            post(server, f"neighbor {number}: {'x' * 500}")
        yield server


def erase(server: Server, message_id: str) -> httpx.Response:
    return server.http.post("/api/moderation/erase", json={"messageId": message_id})


def others(server: Server, message_id: str) -> list[Json]:
    return [one for one in read(server) if one["id"] != message_id]


def traces(server: Server, word: str) -> list[str]:
    return [path.name for path in server.data.iterdir() if path.is_file() and word.encode() in path.read_bytes()]


@pytest.mark.parametrize(("call", "number"), MOMENTS, ids=[f"{call} {number}" for call, number in MOMENTS])
def test_p1_an_erase_that_is_killed_has_not_begun_or_can_be_ended(wall: Server, call: str, number: int) -> None:
    word = secrets.token_hex(8)
    text = " ".join([word] * 250)
    asked = post(wall, text)["id"]
    before = others(wall, asked)

    with strace.killing(wall.pid, call, number), pytest.raises(httpx.TransportError):
        erase(wall, asked)
    until(lambda: not wall.is_running, "the end of the process")
    wall.start()

    shown = message(wall, asked)
    if "hidden" not in shown:
        assert shown["text"] == text, "it had not begun"
    elif "erased" not in shown:
        found = said(wall.http.get("/api/moderation/hidden", params={"messageId": asked}))
        assert (shown["text"], found["text"]) == ("", text), "it is hidden, and nothing is lost"
    else:
        assert shown["text"] == ""
    assert others(wall, asked) == before

    assert said(erase(wall, asked))["message"]["erased"] is True
    assert traces(wall, word) == []
    assert others(wall, asked) == before
