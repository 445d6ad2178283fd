"""What runs on Cloudflare imports nothing that Pyodide lacks, and nothing of our own HTTP server."""

import pytest
from blocked import ADAPTER, run_blocked

BUNDLED = (
    "ALLOWED |= {'saywhatwant', 'sortedcontainers', 'starlette', 'anyio', 'idna', 'sniffio', 'typing_extensions',"
    " 'swagger_ui'};"
)
"""What a bundle has; the others are what msgspec and starlette import."""
SERVER = """
SERVER = {"connections", "gate", "http_protocol", "http_transport", "server", "websocket_protocol"}
Blocked.find_spec = (lambda find: lambda self, name, *rest: find(
    self, "uvicorn" if name.removeprefix("saywhatwant.worker.") in SERVER else name, *rest))(Blocked.find_spec)
"""
"""Blocks the modules of our own server too."""
USED = """
import asyncio
from pathlib import Path
from durable_objects.simulated import SimulatedRuntime
from saywhatwant.cloudflare.bridge import ask
from saywhatwant.cloudflare.settings import load
from saywhatwant.cloudflare.wall import WallObject

class Runtime(SimulatedRuntime):
    async def __aenter__(self):
        return self

class Request:
    headers = [(b"host", b"wall.example"), (b"authorization", b"Bearer a-token-that-nobody-guesses")]

    def __init__(self, method, url):
        self.method, self.url = method, "https://wall.example" + url

    async def body(self):
        if self.method == "POST":
            yield b'{"text": "hello", "username": "Human", "color": "169080199"}'

settings = load({"SWW_BOT_TOKEN": "a-token-that-nobody-guesses", "SWW_CORS_ORIGINS": "*"}, Path("."))
wall = WallObject(Runtime(), settings, lambda tag: [])
PATHS = ("/", *("/api/" + name for name in ("comments", "stats", "docs", "openapi.json", "queue/bots")), "/metrics")

async def main():
    print((await wall.fetch(Request("POST", "/api/comments"))).status)
    for path in (*PATHS, "/original/api/comments"):
        print((await wall.fetch(Request("GET", path))).status)

asyncio.run(main())
"""


def test_all_of_the_wall_works_without_what_pyodide_lacks_and_without_our_server() -> None:
    # Without the SDK and Pyodide themselves, which only ``entry`` needs.
    done = run_blocked(ADAPTER + BUNDLED + SERVER + USED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["200"] * 9


@pytest.mark.parametrize("name", ["uvicorn", "websockets", "saywhatwant.worker.server", "saywhatwant.worker.gate", "click"])
def test_the_server_is_blocked_there(name: str) -> None:
    done = run_blocked(f"{ADAPTER}{BUNDLED}{SERVER}import {name}")
    assert "is blocked" in done.stderr
