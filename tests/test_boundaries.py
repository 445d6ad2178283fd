"""Who knows whom, in words too: the objects' package knows nothing of the product, and the product's worker no runtime."""

import re

import pytest

from documents import ROOT

RUNTIMES = sorted(path.parent.name for path in (ROOT / "src/durable_objects").glob("*/__init__.py"))
"""The packages of this repository's runtimes."""
NAMED = re.compile(
    rf"durable_objects\.(?:{'|'.join(RUNTIMES)})|[A-Z]\w+Runtime\b|(?i:\b(?:embedded|simulated|restate|cloudflare|sqlite)\b)"
)
"""The name of a runtime. (``wire`` alone is also the word for the form of what is sent.)"""
OF_THE_PRODUCT = re.compile(
    r"(?<!\")(?<!webSocket)message(?!pack)|saywhatwant"
    r"|\b(?:bots?|entity|entities|wall(?! clock)|talks?|personas?|leases?|claims?)\b|(?<![.\"])\bposts?\b",
    re.IGNORECASE,
)
"""A word that means something in the product only.

``.post`` and ``"POST"`` are HTTP's, ``"message"`` is Restate's, ``webSocketMessage`` Cloudflare's.
"""


def lines_with(words: re.Pattern[str], folder: str) -> list[str]:
    files = [path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in {".py", ".js", ".toml"}]
    assert files
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]


def test_the_runtimes_are_found() -> None:
    assert {"embedded", "simulated", "wire"} <= set(RUNTIMES)


@pytest.mark.parametrize(
    "folder", ["src/saywhatwant/worker", "src/saywhatwant/topology", "src/saywhatwant/history", "src/saywhatwant/queue"]
)
def test_no_runtime_is_named_where_the_product_calls_objects(folder: str) -> None:
    assert lines_with(NAMED, folder) == []


def test_no_message_is_named_where_objects_are_run() -> None:
    assert lines_with(OF_THE_PRODUCT, "src/durable_objects") == []


@pytest.mark.parametrize(
    "line", ["from durable_objects.wire import WireRuntime", "EmbeddedRuntime(x)", "on Cloudflare", "# embedded"]
)
def test_a_runtime_would_be_found(line: str) -> None:
    assert NAMED.search(line)
    assert not NAMED.search("from durable_objects import Runtime, RuntimeClosed")
