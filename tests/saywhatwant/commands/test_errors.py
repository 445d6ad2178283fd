"""A failing command prints one sentence that names the problem and the fix (P8)."""

import socket
from pathlib import Path

import pytest
from terminal import sww

from conftest import StartServer
from servers import Server

TOKEN = "0123456789abcdef"  # noqa: S105 - of a server that lives for one test
QUESTION = "Why is space black?"


@pytest.mark.parametrize("command", ["serve", "up"])
def test_p8_an_address_in_use_is_refused_with_a_way_out(server: Server, tmp_path: Path, command: str) -> None:
    address = server.url.removeprefix("http://")
    assert sww(tmp_path, command, "--bind", address).error == (
        f"sww: SWW_BIND {address} is in use by another process; stop it or choose another port (--bind)"
    )


def test_p8_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    error = sww(tmp_path, "serve", "--bind", "192.0.2.1:8787", bot_token=TOKEN).error
    assert error == "sww: SWW_BIND 192.0.2.1:8787 is not an address of this machine; choose another (--bind)"


@pytest.mark.parametrize("command", ["serve", "up"])
@pytest.mark.parametrize("bind", ["127.0.0.1:0", "the server's"])
def test_p1_a_second_process_on_the_same_data_is_refused_and_the_first_one_named(
    server: Server, tmp_path: Path, command: str, bind: str
) -> None:
    """Also where the address is taken too: the data directory knows by whom."""
    address = server.url.removeprefix("http://") if bind == "the server's" else bind
    second = sww(tmp_path, command, "--bind", address, "--data", str(server.data))
    assert f"is in use by process {server.pid}" in second.error
    assert server.http.get("/readyz").status_code == 200


@pytest.mark.parametrize(("data", "why"), [("file", "Not a directory"), ("/proc/nothing", "No such file or directory")])
def test_p8_data_that_cannot_be_written_is_refused(tmp_path: Path, data: str, why: str) -> None:
    (tmp_path / "file").write_text("not a directory")
    error = sww(tmp_path, "serve", "--bind", "127.0.0.1:0", "--data", data).error
    assert error == f"sww: SWW_DATA {data} is not a writable directory: {why}"


def test_p8_a_wrong_token_is_explained(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(bot_token=TOKEN)
    for options in ([], ["--limit", "3"]):
        error = sww(tmp_path, "queue", "--url", server.url, *options, bot_token="another").error  # noqa: S106 - as TOKEN
        assert "a token that is good here" in error
        assert "set SWW_BOT_TOKEN to the server's" in error


@pytest.mark.parametrize("option", ["--username", "--color", "--entity", "TEXT"])
def test_p8_what_is_not_utf_8_is_refused(tmp_path: Path, option: str) -> None:
    words = ["\udcff"] if option == "TEXT" else ["Hello", option, "\udcff"]
    done = sww(tmp_path, "post", *words)
    assert done.status != 0
    assert f"Invalid value for '{option}': must be UTF-8" in done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"retention": "none"}, ["SWW_RETENTION", "'none'", "1 to 1000000"]),
        ({"lease_seconds": 0}, ["SWW_LEASE_SECONDS", "'0'", "1 to 3600"]),
        ({"bind": "here"}, ["SWW_BIND", "'here'", "HOST:PORT"]),
        ({"topology": "mesh"}, ["SWW_TOPOLOGY", "'mesh'", "'single'"]),
        ({"open_entities": "perhaps"}, ["SWW_OPEN_ENTITIES", "'perhaps'", "true or false"]),
        ({"retenshun": 5}, ["no such setting: SWW_RETENSHUN", "SWW_RETENTION"]),
    ],
    ids=["not a number", "out of range", "not an address", "not a choice", "not a truth value", "unknown"],
)
def test_p8_a_wrong_setting_stops_the_start(tmp_path: Path, settings: dict[str, object], words: list[str]) -> None:
    error = sww(tmp_path, "serve", **settings).error
    assert [word for word in words if word not in error] == []
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("retention = 0\n", ["RETENTION", "0", "1 to 1000000"]),
        ("retenshun = 5\n", ["retenshun", "sww.toml", "retention"]),
        ("retention = = 5\n", ["sww.toml", "not TOML", "line 1"]),
    ],
    ids=["wrong value", "unknown key", "malformed"],
)
def test_p8_a_wrong_file_of_settings_stops_the_start(tmp_path: Path, content: str, words: list[str]) -> None:
    (tmp_path / "sww.toml").write_text(content)
    error = sww(tmp_path, "serve").error
    assert [word for word in words if word not in error] == []
    assert not (tmp_path / "data").exists()


def test_p8_a_wrong_option_stops_the_start(tmp_path: Path) -> None:
    error = sww(tmp_path, "serve", "--runtime", "quantum").error
    assert error == "sww: SWW_RUNTIME is 'quantum'; allowed: 'embedded', 'restate' or 'wire' (for tests)"


@pytest.mark.parametrize("command", ["serve", "up"])
def test_p8_a_cluster_for_another_runtime_stops_the_start(tmp_path: Path, command: str) -> None:
    error = sww(tmp_path, command, "--restate", "http://127.0.0.1:8080").error
    assert error == "sww: SWW_RESTATE names a cluster, but SWW_RUNTIME is embedded; set it to restate"


@pytest.mark.parametrize("command", ["up", "bot"])
def test_p4_an_unknown_entity_stops_the_start(tmp_path: Path, command: str) -> None:
    """Otherwise a server would run with nobody to answer."""
    bind = ["--bind", "127.0.0.1:0"] if command == "up" else []
    done = sww(tmp_path, command, "--entity", "nobody", *bind)
    assert done.status != 0
    assert "no such entity: nobody; must be one of eliza, iesha, suntsu, zen, rude" in done.stderr


def test_p8_a_post_that_is_refused_gives_field_and_rule(server: Server, tmp_path: Path) -> None:
    error = sww(tmp_path, "post", QUESTION, "--url", server.url, "--color", "red").error
    assert error == "sww: color: must be nine digits RRRGGGBBB, each triple 000 to 255"


def test_p8_a_server_that_is_away_is_named(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert sww(tmp_path, "queue", "--url", url).error.startswith(f"sww: {url} cannot be reached")


@pytest.mark.parametrize("url", ["wall", "ftp://wall", "http://", "http://wall:99999", ""])
def test_p8_a_url_that_is_not_one_is_refused(tmp_path: Path, url: str) -> None:
    done = sww(tmp_path, "tail", "--url", url, "--no-follow")
    assert done.status != 0
    assert f"Invalid value for '--url': {url!r} must be an http or https URL, such as http://127.0.0.1:8787" in done.stderr


def test_p8_an_unknown_command_is_refused(tmp_path: Path) -> None:
    done = sww(tmp_path, "fly")
    assert done.status != 0
    assert "No such command 'fly'" in done.stderr
