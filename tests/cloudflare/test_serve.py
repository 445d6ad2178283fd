"""``serve.py`` behaves as ``sww serve`` does: its ready line, its settings, its errors, and its end."""

import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import serve
from calls import post, read

from children import alive, command_of, descendants
from deployments import named
from documents import blocks
from saywhatwant.worker import assets
from servers import DEADLINE_SECONDS, Server, environment, until

(CLOUDFLARE,) = named("cloudflare/single")


@pytest.fixture
def wall(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, deployment=CLOUDFLARE) as started:
        yield started


def run_serve(folder: Path, *options: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which it has soon."""
    return subprocess.run(
        [*CLOUDFLARE.program, "serve", "--bind", "127.0.0.1:0", *options],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def test_the_command_of_the_page_runs_the_wall_with_a_bot(tmp_path: Path) -> None:
    (command,) = (command for block in blocks("docs/cloudflare.md") for command in block.commands if "serve.py" in command)
    program, *arguments = shlex.split(command)
    assert (program, arguments[:2]) == (".venv/bin/python", ["deploy/cloudflare/serve.py", "up"])
    assert serve.arguments(arguments[1:]).data == Path("data/cloudflare")
    with Server(tmp_path, command="up", deployment=CLOUDFLARE) as wall:
        asked = post(wall, "Hello", entity="eliza")["id"]
        until(lambda: any(message["replyTo"] == asked for message in read(wall)), "the answer")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_is_left_of_it_however_it_ends(wall: Server, number: signal.Signals) -> None:
    children = descendants(wall.pid)
    assert any("workerd serve" in command_of(pid) for pid in children)
    post(wall, "before")
    assert wall.terminate(number) == (-number if number is signal.SIGKILL else 0)
    until(lambda: not alive(children), "the end of its children")
    wall.start()
    assert [message["text"] for message in read(wall)] == ["before"]


def test_p1_a_second_process_on_the_same_data_is_refused(wall: Server, tmp_path: Path) -> None:
    second = run_serve(tmp_path, "--data", str(wall.data))
    assert second.returncode == 1
    assert second.stderr == f"serve.py: {wall.data} is in use by process {wall.pid}\n"
    assert wall.http.get("/readyz").status_code == 200


def test_the_page_wakes_nobody_and_has_the_headers_that_a_server_sends(wall: Server) -> None:
    page = wall.http.get("/")
    assert page.headers.items() >= assets._page_headers([]).items()
    assert '<html lang="en">' in page.text
    (script, *_) = re.findall(r'"(/page/[^"]+\.js)"', page.text)
    assert wall.http.get(script).headers["cache-control"] == assets.FOREVER
    assert wall.http.get("/embed").status_code == wall.http.get("/api/docs").status_code == 200
    assert 'sww_http_requests_total{route="/page"' not in wall.http.get("/metrics").text  # the object has not served it


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_serve(tmp_path, "--bind", address)
    assert (done.returncode, done.stderr.startswith(f"serve.py: SWW_BIND {address} is in use")) == (1, True)


def test_a_setting_reaches_the_wall(tmp_path: Path) -> None:
    with Server(tmp_path, deployment=CLOUDFLARE, max_text=10) as wall:
        refused = wall.http.post("/api/comments", json={"text": "x" * 11, "username": "Human", "color": "169080199"})
        assert (refused.status_code, refused.json()["field"]) == (422, "text")


@pytest.mark.parametrize(
    ("settings", "named"), [({"topology": "hybrid"}, "SWW_TOPOLOGY"), ({"max_connections": 5}, "SWW_MAX_CONNECTIONS")]
)
def test_a_setting_that_means_nothing_there_is_refused_by_its_name(
    tmp_path: Path, settings: dict[str, object], named: str
) -> None:
    done = run_serve(tmp_path, **settings)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"serve.py: {named} ")
