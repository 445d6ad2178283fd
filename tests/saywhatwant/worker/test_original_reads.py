"""Reads of the original's clients: what each brings, and how little it reads for that."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_app import App

from profiles import examples
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.read_cache import Page
from saywhatwant.settings import load
from saywhatwant.worker.original import handlers

pytestmark = pytest.mark.usefixtures("no_settings")

WALL = "/original/api/comments"
PAGE = 3
"""What these tests set ``MAX_PAGE`` to."""


async def with_messages(kinds: list[str]) -> App:
    """An app whose wall has messages of these types."""
    app = App(load(bind="127.0.0.1:0"))
    for kind in kinds:
        await app.post(messageType=kind)
    return app


async def read(app: App, **query: object) -> Any:
    params = {name: str(value) for name, value in query.items() if value is not None}
    return (await app.http.get(WALL, params=params)).raise_for_status().json()


@pytest.fixture
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "MAX_PAGE", PAGE)


@pytest.mark.usefixtures("_small_pages")
@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from(["human", "AI"]), max_size=12),
    kind=st.sampled_from(["human", "AI", None]),
    offset=st.integers(0, 8),
    limit=st.integers(0, 8),
    skipped=st.integers(0, 4),
)
@example(kinds=["AI"] * PAGE, kind="AI", offset=0, limit=PAGE, skipped=0)
def test_p5_a_read_of_the_original_brings_what_a_look_at_every_message_finds(
    kinds: list[str], kind: str | None, offset: int, limit: int, skipped: int
) -> None:
    async def scenario() -> None:
        app = await with_messages(kinds)
        wall = (await app.http.get("/api/comments", params={"order": "asc"})).json()
        after = wall[skipped - 1]["timestamp"] if 0 < skipped <= len(wall) else 0
        matching = [m["id"] for m in wall[::-1] if m["timestamp"] > after and kind in {None, m["messageType"]}]
        end = offset + min(limit, PAGE)
        answer = await read(app, after=after, type=kind, offset=offset, limit=limit)
        assert [m["id"] for m in answer["comments"]] == matching[offset:end]
        assert answer["hasMore"] is (len(matching) > end)

    asyncio.run(scenario())


@pytest.mark.usefixtures("_small_pages")
def test_p6_a_read_of_one_type_stops_where_it_has_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest few are found without reading all that is kept."""
    plain, asked = MessageQueue.read, []

    def counted(queue: MessageQueue, since: int, limit: int | None, **more: Any) -> Page:
        asked.append(limit)
        return plain(queue, since, limit, **more)

    counted.__name__ = "read"
    monkeypatch.setattr(MessageQueue, "read", counted)

    async def scenario() -> None:
        app = await with_messages(["human", "AI"] * 20)
        assert len(await read(app, type="AI", limit=2)) == 2

    asyncio.run(scenario())
    assert asked == [PAGE, PAGE]


def test_p6_an_answer_to_the_original_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "MAX_ANSWER_BYTES", 2_000)

    async def scenario() -> None:
        app = await with_messages(["AI"] * 20)
        answer = await read(app, type="AI", offset=0)
        assert 2 < len(answer["comments"]) < 10
        assert answer["hasMore"] is True

    asyncio.run(scenario())
