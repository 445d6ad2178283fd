"""The installed services under a systemd of the test's own: they run within limits, and a restart loses nothing (P1, P5)."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from calls import post, read, said
from tokens import Token
from visitors import Visitors, connections_of, lasting_client

from durable_objects.restate.ports import free_port
from servers import DEADLINE_SECONDS, SWW, Server, until
from systemd_manager import UserManager

SERVER = "sww.service"


class Installed(Server):
    """The server of the services that ``sww install --user`` has written."""

    def __init__(self, directory: Path, manager: UserManager, address: str) -> None:
        super().__init__(directory)
        self.manager = manager
        self.url = f"http://{address}"
        self.http = lasting_client(self.url, **self.headers)

    @property
    def headers(self) -> dict[str, str]:
        text = (self.directory / ".config/sww/wall.env").read_text()
        (token,) = [line.partition("=")[2] for line in text.splitlines() if line.startswith("SWW_BOT_TOKEN=")]
        return {"Authorization": f"Bearer {token}"}

    @property
    def pid(self) -> int:
        return int(self.manager.systemctl("show", SERVER, "--property=MainPID", "--value"))


@contextmanager
def installed(directory: Path) -> Iterator[Installed]:
    address = f"127.0.0.1:{free_port()}"
    with UserManager(directory) as manager:
        sww_install(manager, "--bind", address)
        with (directory / ".config/sww/wall.env").open("a") as settings:
            settings.write("SWW_RETENTION=100000\n")
        manager.systemctl("daemon-reload")
        yield Installed(directory, manager, address)
        sww_install(manager, "--remove")


def sww_install(manager: UserManager, *options: str) -> None:
    command = ("install", "--user", *options)
    subprocess.run([SWW, *command], env=manager.environment, check=True, capture_output=True, timeout=DEADLINE_SECONDS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Installed]:
    with installed(tmp_path) as running:
        running.manager.systemctl("enable", "--now", "sww.socket", SERVER)
        yield running
        running.manager.systemctl("disable", "--now", "sww.socket", SERVER)
        running.http.close()


def restart(server: Installed) -> None:
    before = server.pid
    server.manager.systemctl("restart", SERVER)  # returns once it is ready
    assert server.pid != before


def test_the_wall_and_its_bot_run_as_services_within_their_limits(server: Installed) -> None:
    server.manager.systemctl("start", "sww-bot.service")
    asked = post(server, "Are you there?", entity="zen")
    until(lambda: any(message["replyTo"] == asked["id"] for message in read(server)), "the answer")
    status = (Path("/proc") / str(server.pid) / "status").read_text()
    assert "NoNewPrivs:\t1\n" in status
    assert "Seccomp:\t2\n" in status
    server.manager.systemctl("stop", "sww-bot.service")


def test_the_small_model_of_this_machine_starts_within_the_limits_too(server: Installed) -> None:
    sww_install(server.manager, "--bind", server.url.removeprefix("http://"), "--model", "local")
    server.manager.systemctl("daemon-reload")
    server.manager.systemctl("start", "sww-bot.service")
    until(lambda: server.http.get("/api/queue/bots").raise_for_status().json(), "a bot, which comes once its model listens")
    server.manager.systemctl("stop", "sww-bot.service")


def test_a_connection_starts_the_server(server: Installed) -> None:
    server.manager.systemctl("stop", SERVER)
    assert server.pid == 0
    posted = post(server)
    assert [message["id"] for message in read(server)] == [posted["id"]]


def test_p1_p5_restarts_by_systemd_under_load_fail_no_request_and_skip_no_event(server: Installed) -> None:
    """Open connections go on: systemd keeps them meanwhile."""
    posted = post(server)
    (connection,) = connections_of(server.http)
    with Visitors(server, people=20, with_bot=False) as visitors:
        for number in range(1, 3):
            until(lambda number=number: visitors.errors or len(visitors.posted) >= 100 * number, "posts")  # type: ignore[misc]
            restart(server)
        visitors.stop_posting()
        wall = {message["id"]: message for message in read(server)}
        last = Token(said(server.http.get("/api/comments"))[0]["seq"])
        for reader in visitors.readers:
            reader.until_token(last)
            assert reader.view.messages.keys() == wall.keys()
        assert visitors.errors == []
        assert sorted([posted["id"], *visitors.posted]) == sorted(wall)
    assert connections_of(server.http) == [connection]


def test_p1_a_server_that_is_killed_is_started_again(server: Installed) -> None:
    posted, before = post(server), server.pid
    os.kill(before, 9)
    until(lambda: server.pid not in {0, before}, "the next server")
    assert [message["id"] for message in read(server)] == [posted["id"]]
