"""``sww token``: tokens are made, listed and revoked while a server runs."""

import os
import shlex
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner
from terminal import sww
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from conftest import StartServer
from documents import blocks
from saywhatwant.commands.token import token
from servers import DEADLINE_SECONDS, Server, until


@pytest.fixture
def add(tmp_path: Path) -> Callable[..., str]:
    def add(name: str, *scopes: str, data: Path = tmp_path / "data") -> str:
        options = [option for scope in scopes for option in ("--scope", scope)]
        done = sww(tmp_path, "token", "add", name, *options, "--data", str(data))
        assert done.status == 0, done.stderr
        return done.stdout.strip()

    return add


def test_p8_a_token_is_printed_once_and_stored_as_a_digest(tmp_path: Path, add: Callable[..., str]) -> None:
    made = add("alice", "operator", "bot")
    path = tmp_path / "data" / "tokens.toml"
    assert made.startswith("sww_")
    assert made not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listed = sww(tmp_path, "token", "list").stdout
    assert "alice  bot,operator" in listed
    assert made not in listed
    assert [file.name for file in path.parent.iterdir() if made in file.read_text()] == []


def test_what_root_writes_belongs_to_the_owner_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the server, whose user is another one, could not read its tokens, and would not start again."""
    given: dict[str, tuple[int, int]] = {}

    def chown(file: int, user: int, group: int) -> None:
        given[Path(f"/proc/self/fd/{file}").readlink().name] = user, group

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", chown)
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    done = CliRunner().invoke(token, ["add", "alice", "--scope", "bot", "--data", str(data)])
    assert done.exit_code == 0, done.output
    owner = data.stat().st_uid, data.stat().st_gid
    assert given == {"tokens.toml.lock": owner, "tokens.toml.new": owner}


def test_what_the_guide_shows_runs_as_it_is_shown(tmp_path: Path) -> None:
    (block,) = [block for block in blocks("docs/operate.md") if block.text.startswith("sww token")]
    (tmp_path / "data").mkdir()
    for command in block.commands:
        done = sww(tmp_path, *shlex.split(command, comments=True)[1:])
        assert done.status == 0, done.stderr
    assert sww(tmp_path, "token", "list").stdout.split()[:2] == ["alice", "operator"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "Alice", "--scope", "bot"), "'Alice' is no name for a token: 1 to 64 of a-z, 0-9 and -"),
        (("add", "bot-token", "--scope", "bot"), "none of bot-token, local, own-bot"),
        (("add", "known", "--scope", "bot"), "there is a token known; take another name, or revoke it first"),
        (("revoke", "unknown"), "there is no token unknown"),
        (("revoke", "known", "--data", "nowhere"), "nowhere is no data directory"),
    ],
)
def test_p8_what_cannot_be_done_is_refused(
    tmp_path: Path, add: Callable[..., str], arguments: tuple[str, ...], words: str
) -> None:
    add("known", "bot")
    before = (tmp_path / "data" / "tokens.toml").read_bytes()
    assert words in sww(tmp_path, "token", *arguments).error
    assert (tmp_path / "data" / "tokens.toml").read_bytes() == before


def test_p8_a_token_needs_a_scope(tmp_path: Path) -> None:
    assert "Missing option '--scope'" in sww(tmp_path, "token", "add", "alice").stderr
    assert "'root' is not one of 'bot', 'operator'" in sww(tmp_path, "token", "add", "alice", "--scope", "root").stderr


def test_p8_a_file_that_is_wrong_is_not_written_over(tmp_path: Path, add: Callable[..., str]) -> None:
    add("alice", "bot")
    path = tmp_path / "data" / "tokens.toml"
    path.write_text(wrong := "[alice]\nscope = 1\n")
    for arguments in (("add", "bob", "--scope", "bot"), ("revoke", "alice"), ("list",)):
        assert "line 2: alice.scope: is not a known key" in sww(tmp_path, "token", *arguments).error
    assert path.read_text() == wrong


def test_p8_tokens_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    from saywhatwant.commands.token import _file_of, _write  # noqa: PLC0415
    from saywhatwant.tokens import Token, digest, read_tokens  # noqa: PLC0415

    def add_one(number: int) -> None:
        with _file_of(tmp_path) as path:
            _write(path, read_tokens(path) | {f"token-{number}": Token(scopes=["bot"], sha256=digest(str(number)))})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_one, range(50)))
    assert len(read_tokens(tmp_path / "tokens.toml")) == 50


# -- With a server


def pending(server: Server, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return server.http.get("/api/queue/pending", headers=headers).status_code


def test_p8_tokens_are_changed_without_a_restart_and_revoked_ones_are_refused(
    start_server: StartServer, tmp_path: Path, add: Callable[..., str]
) -> None:
    server = start_server()
    assert pending(server, None) == 200
    old = add("old", "bot", data=server.data)
    assert pending(server, old) == 200
    until(lambda: pending(server, None) == 401, "calls without a token are refused")
    new = add("new", "bot", data=server.data)
    assert (pending(server, old), pending(server, new)) == (200, 200)
    assert sww(tmp_path, "token", "revoke", "old", "--data", str(server.data)).status == 0
    until(lambda: pending(server, old) == 401, "the revoked token is refused")
    assert pending(server, new) == 200
    server.restart()
    assert (pending(server, old), pending(server, new)) == (401, 200)


def test_p8_the_socket_of_a_bot_whose_token_is_revoked_ends(
    start_server: StartServer, tmp_path: Path, add: Callable[..., str]
) -> None:
    server = start_server()
    headers = {"Authorization": f"Bearer {add('old', 'bot', data=server.data)}"}
    with connect(f"{server.url}/api/queue/ws".replace("http", "ws", 1), additional_headers=headers, proxy=None) as socket:
        assert sww(tmp_path, "token", "revoke", "old", "--data", str(server.data)).status == 0
        with pytest.raises(ConnectionClosed):
            socket.recv(DEADLINE_SECONDS)
        assert socket.close_code == 1008


def test_p8_a_server_with_a_wrong_file_of_tokens_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tokens.toml").write_text(f'[alice]\nscopes = []\nsha256 = "{"0" * 64}"\n')
    error = sww(tmp_path, "serve", "--bind", "127.0.0.1:0").error
    assert error == "sww: data/tokens.toml, line 2: alice.scopes: must not be empty"


def test_p8_a_token_of_the_file_lets_a_server_listen_beyond_this_machine(tmp_path: Path, add: Callable[..., str]) -> None:
    refused = sww(tmp_path, "serve", "--bind", "192.0.2.1:8787").stderr
    assert "sww token add" in refused
    add("alice", "bot")
    assert "is not an address of this machine" in sww(tmp_path, "serve", "--bind", "192.0.2.1:8787").error


def test_p8_sww_up_answers_with_a_token_of_its_own_where_only_the_file_has_some(
    tmp_path: Path, add: Callable[..., str]
) -> None:
    data = tmp_path / "up" / "data"
    data.parent.mkdir()
    add("alice", "operator", data=data)
    with Server(tmp_path / "up", command="up") as server:
        posted = server.http.post(
            "/api/comments", json={"text": "Why?", "username": "Human", "color": "169080199", "botParams": {"entity": "eliza"}}
        )
        assert posted.status_code == 200
        question = posted.json()["id"]

        until(lambda: any(message["replyTo"] == question for message in server.http.get("/api/comments").json()), "the answer")
        assert pending(server, None) == 401
