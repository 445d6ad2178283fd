"""The index compared with a naive list, and its cost as the backlog grows."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace
from queue_wall import Wall, empty_storage, work_of

from profiles import examples
from saywhatwant.message import BotParams, Message, Status, decode, encode
from saywhatwant.queue import MessageQueue, QueueConfig
from saywhatwant.queue.index import Index

ENTITIES = [None, "fear", "joy"]
AGING = 3


@st.composite
def params(draw: st.DrawFn) -> BotParams:
    """A message's standing, of any kind."""
    status: Status = draw(st.sampled_from(["pending", "processing", "complete", "failed"]))
    at = st.integers(1, 30)
    return BotParams(
        status=status,
        priority=draw(st.integers(0, 3)),
        entity=draw(st.sampled_from(ENTITIES)),
        lease_expires_at=draw(at) if status == "processing" else None,
        retry_at=draw(st.none() | at) if status == "pending" else None,
        expires_at=draw(st.none() | at) if status == "pending" else None,
    )


class Naive:
    """All that ``Index`` answers, by looking at every message."""

    def __init__(self) -> None:
        self.all: dict[int, Message] = {}
        self.newest = 0

    def having(self, *statuses: Status) -> list[Message]:
        return [self.all[at] for at in sorted(self.all) if self.all[at].bot_params.status in statuses]

    def ready(self, entities: list[str | None] | None) -> list[Message]:
        ready = [
            message
            for message in self.having("pending")
            if message.bot_params.retry_at is None and (entities is None or message.bot_params.entity in entities)
        ]
        return sorted(ready, key=lambda m: (m.bot_params.priority * AGING + m.timestamp, m.timestamp))

    def delayed(self) -> list[Message]:
        delayed = [message for message in self.having("pending") if message.bot_params.retry_at is not None]
        return sorted(delayed, key=lambda message: message.bot_params.retry_at or 0)

    def deadlines(self, *statuses: Status) -> list[tuple[int, Message]]:
        found = [(_deadline(message.bot_params), message) for message in self.having(*statuses)]
        return sorted(((at, message) for at, message in found if at is not None), key=lambda pair: pair[0])


def _deadline(params: BotParams) -> int | None:
    return params.lease_expires_at or params.retry_at or params.expires_at


def check(index: Index, naive: Naive, limit: int, now: int, entities: list[str | None]) -> None:
    """Every question that an index answers."""
    assert len(index) == len(naive.all)
    assert index.last_timestamp == naive.newest
    assert index.ready(limit) == naive.ready(None)[:limit]
    assert index.ready(limit, entities) == naive.ready(entities)[:limit]
    deadlines = naive.deadlines("pending", "processing")
    assert index.due(now, limit) == [message for at, message in deadlines if at <= now][:limit]
    assert index.deadlines.next == min((at for at, _ in deadlines), default=None)
    assert index.in_flight(limit) == [message for _, message in naive.deadlines("processing")][:limit]
    assert index.delayed(limit) == naive.delayed()[:limit]
    assert index.delayed_count == len(naive.delayed())
    assert index.failed(limit) == naive.having("failed")[::-1][:limit]
    finished = naive.having("complete", "failed")
    assert index.backlog == len(naive.all) - len(finished)
    for entity in ENTITIES:
        assert index.counts.unfinished(entity) == sum(
            m.bot_params.entity == entity for m in naive.having("pending", "processing")
        )
    assert index.kept.count == len(finished)
    later = [
        encode(message) for message in naive.having("pending", "processing", "complete", "failed") if message.timestamp > now
    ]
    assert index.between(now, None, None, newest_first=False) == (later, None)
    assert index.between(now, None, limit, newest_first=True) == (later[::-1][:limit], None)
    names = {message.bot_params.entity or "" for message in naive.all.values()}
    assert index.depths(100) == {
        entity: Counter(m.bot_params.status for m in naive.all.values() if (m.bot_params.entity or "") == entity)
        for entity in names
    }
    assert list(index.depths(limit, ["zen"])) == sorted(names, key=lambda name: (name not in {"", "zen"}, name))[:limit]
    assert +index.counts.total == Counter(m.bot_params.status for m in naive.all.values())


@settings(max_examples=examples(200))
@given(
    steps=st.lists(st.tuples(st.integers(1, 12), st.sampled_from([UNSET, "a", "b", "c"]), st.none() | params()), max_size=60),
    limit=st.integers(1, 8),
    now=st.integers(0, 30),
    entities=st.lists(st.sampled_from([*ENTITIES, "unheard-of"]), max_size=4),
)
def test_p5_an_index_answers_like_a_look_at_every_message(
    steps: list[tuple[int, Any, BotParams | None]], limit: int, now: int, entities: list[str | None]
) -> None:
    """Whatever is put, replaced and removed; ``None`` removes."""
    index, naive = Index(QueueConfig(aging_ms=AGING), empty_storage()), Naive()
    for number, (at, conversation, standing) in enumerate(steps):
        old = naive.all.get(at)
        if standing is not None:
            # The state of a message changes, its entity and priority do not.
            lasting = old.bot_params if old else standing
            message = Message(
                id=f"message{at:03d}",
                timestamp=at,
                text="Why?",
                username="Human",
                color="169080199",
                message_type="human",
                reply_to=None,
                seq=number // 2,  # a call changes several messages in one commit
                conversation=conversation,
                bot_params=replace(standing, priority=lasting.priority, entity=lasting.entity),
            )
            naive.all[at] = message
            naive.newest = max(naive.newest, at)
            index.put(message, encode(message))
            assert index.get(message.id) == message
            assert index.encoded(message.id) == encode(message)
        elif old is not None:
            del naive.all[at]
            index.remove(old.timestamp)
            assert old.id not in index
            assert index.get(old.id) is None
        check(index, naive, limit, now, entities)


def work_at(backlog: int) -> dict[str, tuple[int, int]]:
    """What each call of a message's life costs with this backlog, at most."""
    wall = Wall(retention=20, lease_ms=1_000, max_attempts=2)
    for n in range(backlog):
        wall.ask(f"question {n}", entity=("fear", "joy", None)[n % 3], priority=n % 100)
    wall.claim_next(limit=10)
    work: dict[str, tuple[int, int]] = {}

    def spend(name: str, call: Callable[[], object]) -> None:
        spent = work_of(wall, call)
        work[name] = max(work.get(name, spent), spent)

    for n in range(40):
        spend("post", lambda: wall.ask("one more", entity="fear", priority=50))
        spend("claim_next", lambda: wall.claim_next(worker="of any"))
        question = wall.claim_next(entities=("joy",))[0]
        spend("claim_next of some", lambda: wall.claim_next(entities=("fear", "joy")))
        spend("extend", lambda q=question: wall.call(MessageQueue.extend, q.id, "bot", q.bot_params.attempt))  # type: ignore[misc]
        if n % 2:
            spend("complete", lambda q=question: wall.call(MessageQueue.complete, q.id, "bot", q.bot_params.attempt))  # type: ignore[misc]
        else:
            spend("fail", lambda q=question: wall.call(MessageQueue.fail, q.id, "bot", q.bot_params.attempt, "no"))  # type: ignore[misc]
        spend("answer", lambda: wall.answer(None))
        spend("pending", lambda: wall.call(MessageQueue.pending, 10))
        spend("read", lambda: wall.call(MessageQueue.read, 0, 10))
        spend("stats", lambda: wall.call(MessageQueue.stats))
        spend("lease ends", lambda: wall.runtime.advance(0.02))
    return work


def test_p6_no_call_costs_more_as_the_backlog_grows() -> None:
    few, many = work_at(100), work_at(5_000)
    assert few.keys() == many.keys()
    for name, (functions, operations) in many.items():
        assert functions <= 2 * few[name][0], f"{name} at 5,000: {functions} functions, at 100: {few[name][0]}"
        assert operations <= 2 * few[name][1] + 1, f"{name} at 5,000: {operations} storage operations, at 100: {few[name][1]}"


@pytest.mark.parametrize("newest_first", [False, True])
def test_p5_a_list_cut_at_its_bytes_continues_at_the_last_timestamp(*, newest_first: bool) -> None:
    index = Index(QueueConfig(aging_ms=1), empty_storage())
    wall = Wall()
    for number in range(7):
        wall.ask(f"number {number}")
    messages = wall.messages()
    for message in messages:
        index.put(message, encode(message))
    times = [message.timestamp for message in messages]
    size = max(len(encode(message)) for message in messages)
    since, before, got = 0, None, list[int]()
    for pages in range(4):
        encoded, cut_at = index.between(since, before, None, newest_first=newest_first, max_bytes=2 * size + 1)
        assert len(encoded) == (1 if pages == 3 else 2)
        got += [decode(one).timestamp for one in encoded]
        assert cut_at == (None if pages == 3 else got[-1])
        since, before = (0, cut_at) if newest_first else (cut_at or 0, None)
    assert got == sorted(times, reverse=newest_first)
    assert len(index.between(0, None, None, newest_first=newest_first, max_bytes=1)[0]) == 1, "never without a message"
