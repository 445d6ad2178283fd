"""Contenders without a server behind them, and the loads that are put on them."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

from benchmarks.comparison import Result, compare
from benchmarks.failures import LoadFailed
from benchmarks.loads import LOADS, RETENTION, Load
from benchmarks.running import Running
from benchmarks.wrk import Figure

GROUP = ("post-1", "post-32", "read-none")
MESSAGES = b"[%b]" % b",".join([b"{}"] * RETENTION)
NAMES = [LOADS[name].name for name in GROUP]
FIGURE = Figure(100.0, 1.0, 2.0, 100)


class Wall(BaseHTTPRequestHandler):
    """Takes every post; has 200 messages for each reader. Its ``seq`` grows by a thousand between two looks at it."""

    seqs = count(0, 1_000)

    def do_GET(self) -> None:
        self._answer(MESSAGES if self.path.startswith("/api/comments") else b'{"seq": %d}' % next(self.seqs))

    def do_POST(self) -> None:
        self._answer(b"{}")

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class ForgetfulWall(Wall):
    """Acknowledges posts and stores none."""

    seqs = count(0, 0)


class EmptyWall(Wall):
    """Has what was posted, and nothing else."""

    posts = 0

    def do_GET(self) -> None:
        self._answer(b"[%b]" % b",".join([b"{}"] * self.posts))

    def do_POST(self) -> None:
        type(self).posts += 1
        super().do_POST()


@contextmanager
def serving(wall: type[Wall]) -> Iterator[str]:
    """Its URL, until the end of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), wall) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class FakeContender:
    """A contender whose server runs already, or fails to start with ``failure``."""

    loads: Collection[str] = GROUP
    stores = True

    def __init__(self, name: str, url: str, failure: Exception | None = None) -> None:
        self.name = name
        self.starts = 0
        self._url = url
        self._failure = failure

    @contextmanager
    def start(self, directory: Path) -> Iterator[Running]:
        assert not list(directory.iterdir())
        self.starts += 1
        if self._failure:
            raise self._failure
        yield Running(self._url, ())


def measured(*contenders: FakeContender, failing: tuple[str, str] = ("", ""), rounds: int = 1) -> list[Result]:
    """Results of a made-up load; ``failing`` is the URL and the load that break."""

    def measure(url: str, load: Load, seconds: int) -> Figure:
        assert seconds == 1
        if (url, load.name) == failing:
            raise LoadFailed("it broke")
        return FIGURE

    return list(compare(contenders, [GROUP], rounds, 1, measure=measure))
