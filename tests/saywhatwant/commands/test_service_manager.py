"""Socket activation and notifications, as systemd has them; ``systemd-socket-activate`` is systemd's own."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from calls import post, read

from durable_objects.restate.ports import free_port
from saywhatwant.commands.service_manager import ServiceManager, check_listening
from saywhatwant.settings import WrongSettings, load
from servers import DEADLINE_SECONDS, Server, until


def test_a_server_serves_on_the_socket_that_systemd_has_passed(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    server = Server(tmp_path)
    server._bind = address
    try:
        server.spawn(through=("systemd-socket-activate", "--listen", address))
        until(lambda: "Listening on" in server.log, "the socket")
        assert "ready on" not in server.log  # it starts with the first connection
        posted = post(server)
        assert f"ready on http://{address}\n" in server.log
        assert [message["id"] for message in read(server)] == [posted["id"]]
        assert server.terminate() == 0
    finally:
        server.kill()


@contextmanager
def manager_at(directory: Path) -> Iterator[socket.socket]:
    """A service manager: the socket with its notifications."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.settimeout(DEADLINE_SECONDS)
        told.bind(str(directory / "notify"))
        yield told


@pytest.mark.parametrize("command", ["serve", "serve --restart-on HUP"])
def test_the_service_manager_is_told_when_the_server_answers_and_when_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    with manager_at(tmp_path) as told:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with Server(tmp_path, command=command) as server:
            assert told.recv(4_096).decode() == f"READY=1\nSTATUS=ready on {server.url}"
            assert server.terminate() == 0
            assert told.recv(4_096).decode().splitlines()[0] == "STOPPING=1"


def test_a_server_gives_the_service_manager_its_open_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with manager_at(tmp_path) as told:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("FDSTORE", "100")
        with Server(tmp_path) as server, socket.create_connection(("127.0.0.1", server.http.base_url.port or 0)) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert client.recv(4_096).startswith(b"HTTP/1.1 200 ")
            server._process.terminate()  # type: ignore[union-attr]
            while (message := socket.recv_fds(told, 4_096, 10))[0] != b"FDSTORE=1\nFDNAME=connection":
                assert message[1] == []
            with socket.socket(fileno=message[1][0]) as kept:
                assert kept.getpeername() == client.getsockname()
                barrier, (pipe,), *_ = socket.recv_fds(told, 4_096, 10)
                assert barrier == b"BARRIER=1"
                assert server.is_running  # until the manager has read everything
                os.close(pipe)
                until(lambda: not server.is_running, "the end of the server")
                kept.sendall(b"The connection is open.")
            assert client.recv(4_096) == b"The connection is open."


def test_variables_for_another_process_are_not_used_and_none_is_left_for_children() -> None:
    environment = {
        "LISTEN_PID": "1",
        "LISTEN_FDS": "2",
        "LISTEN_FDNAMES": "a:b",
        "NOTIFY_SOCKET": "",
        "FDSTORE": "x",
        "HOME": "/",
    }
    manager = ServiceManager(environment)
    assert environment == {"HOME": "/"}
    assert (manager._listening, manager._connections, manager._keeps) == ([], [], False)


def test_a_service_manager_that_cannot_be_told_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).notify("READY=1")
    assert "the service manager could not be notified of READY=1" in caplog.text


@pytest.mark.usefixtures("no_settings")
def test_p8_a_socket_that_is_not_the_one_of_the_settings_is_refused(tmp_path: Path) -> None:
    """Who listens beyond loopback needs a token and has other limits, so a socket must not change that unseen."""
    settings = load(bind="127.0.0.1:8787")
    with socket.create_server(("0.0.0.0", 0)) as everywhere, socket.create_server(("127.0.0.1", 0)) as other_port:  # noqa: S104 - it is refused
        for sock in (everywhere, other_port):
            with pytest.raises(WrongSettings, match=r"listens on .* port \d+, but SWW_BIND is 127.0.0.1:8787"):
                check_listening([sock], settings)
        check_listening([other_port], load(bind="127.0.0.1:0"))
        check_listening([other_port], load(bind=f"localhost:{other_port.getsockname()[1]}"))
    with socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "socket"))
        with pytest.raises(WrongSettings, match="none of TCP"):
            check_listening([local], settings)
