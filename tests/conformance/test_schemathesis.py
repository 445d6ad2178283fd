"""The OpenAPI document promises neither more nor less than the server does: schemathesis, over all operations (P8)."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import StartServer
from servers import environment

pytestmark = [
    pytest.mark.one_deployment("it makes requests that are refused before any object is asked"),
    pytest.mark.needs("short calls"),
]

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")
TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - the test's own


def test_p8_schemathesis_finds_no_failure_in_any_operation(start_server: StartServer, tmp_path: Path) -> None:
    """Valid requests are accepted, invalid ones refused, and every response is as described; the same requests each time."""
    server = start_server(bot_token=TOKEN, retention=100_000, backlog_limit=1_000_000)
    hooks = str(CONFIG.with_name("schemathesis_hooks.py"))
    run = subprocess.run(
        [
            *(SCHEMATHESIS, "--config-file", CONFIG, "run", f"{server.url}/api/openapi.json"),
            *("--header", f"Authorization: Bearer {TOKEN}", "--max-examples", "10", "--generation-deterministic"),
            *("--continue-on-failure", "--no-color"),
        ],
        cwd=tmp_path,
        env=environment() | {"SCHEMATHESIS_HOOKS": hooks, "WALL_URL": server.url, "WALL_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    paths = server.http.get("/api/openapi.json").json()["paths"]
    assert f"Tested: {sum(map(len, paths.values()))}\n" in run.stdout
