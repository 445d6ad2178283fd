"""The messages that changed after a commit, compared with a search of all messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from queue_wall import Wall, empty_storage

from durable_objects import Refusal
from listening import listen
from profiles import examples
from saywhatwant.message import BotParams, Message, Status, decode, encode
from saywhatwant.queue import MessageQueue, QueueConfig
from saywhatwant.queue.index import Index
from saywhatwant.queue.messages import MIN_COMPACTED
from saywhatwant.schemas import Reply

STATUSES: list[Status] = ["pending", "complete"]


def changes(wall: Wall, since: int) -> list[Message]:
    return [decode(encoded) for encoded in wall.call(MessageQueue.changes, since).messages]


def ids(messages: list[Message]) -> list[str]:
    return [message.id for message in messages]


def naive(messages: list[Message], since: int) -> list[tuple[int, str]]:
    return sorted((message.seq, message.id) for message in messages if message.seq > since)


@settings(max_examples=examples(100))
@given(
    steps=st.lists(st.tuples(st.integers(1, 8), st.sampled_from([*STATUSES, None])), max_size=40),
    since=st.integers(0, 42),
    limit=st.integers(1, 9),
    bytes_of=st.integers(0, 9),
)
def test_p5_an_index_knows_what_changed_after_any_commit(
    steps: list[tuple[int, Status | None]], since: int, limit: int, bytes_of: int
) -> None:
    """Each step puts one of eight messages, new or again, or removes it (``None``); two steps are a commit."""
    index = Index(QueueConfig(aging_ms=1), empty_storage())
    present: dict[int, Message] = {}
    for number, (at, status) in enumerate(steps):
        old = present.pop(at, None)
        if status is None:
            if old is not None:
                index.remove(old.timestamp)
            continue
        message = replace(a_message(at, 1 + number // 2), bot_params=BotParams(status=status))
        present[at] = message
        index.put(message, encode(message))
    changed_later = (message for message in present.values() if message.seq > since)
    expected = sorted(changed_later, key=lambda message: (message.seq, message.timestamp))
    changed, more = index.changed_after(since)
    assert ([encoded for _, encoded in changed], more) == ([encode(message) for message in expected], False)
    size = len(encode(expected[0])) if expected else 1
    paged = pages_of(index, since, limit, bytes_of * size + 1)
    assert [message for page in paged for message in page] == expected
    for page in paged[:-1]:
        before_last_commit = [message for message in page if message.seq < page[-1].seq]
        assert len(before_last_commit) < limit, "a page ends with the commit that reaches the limit"
        assert len(before_last_commit) <= bytes_of, "or the bytes"
        assert len(page) >= max(1, min(limit, bytes_of - 1)), "and is not much smaller"


def pages_of(index: Index, since: int, limit: int, max_bytes: int) -> list[list[Message]]:
    pages = []
    while True:
        changed, more = index.changed_after(since, limit, max_bytes)
        pages.append([decode(encoded) for _, encoded in changed])
        if not more:
            return pages
        since = changed[-1][0]


def index_of(commits: list[int]) -> Index:
    """Messages that were put by commits of these sizes."""
    index, at = Index(QueueConfig(aging_ms=1), empty_storage()), 0
    for seq, size in enumerate(commits, 1):
        for _ in range(size):
            at += 1
            index.put(a_message(at, seq), encode(a_message(at, seq)))
    return index


def a_message(at: int, seq: int) -> Message:
    return Message(
        id=f"message{at:03d}",
        timestamp=at,
        text="Why?",
        username="Human",
        color="169080199",
        message_type="human",
        reply_to=None,
        bot_params=BotParams(status="pending"),
        seq=seq,
    )


@pytest.mark.parametrize(
    ("limit", "messages", "sizes"),
    [
        (1, 99, [1, 2, 3, 1, 1]),
        (2, 99, [3, 3, 2]),
        (3, 99, [3, 3, 2]),
        (4, 99, [6, 2]),
        (99, 1, [1, 2, 3, 1, 1]),
        (99, 3, [3, 3, 2]),
        (99, 4, [3, 4, 1]),
        (99, 7, [7, 1]),
        (99, 8, [8]),
    ],
)
def test_p5_a_page_of_changes_ends_with_a_commit(limit: int, messages: int, sizes: list[int]) -> None:
    """The commits are of 1, 2, 3, 1 and 1 messages; ``messages`` fit into the bytes."""
    index = index_of([1, 2, 3, 1, 1])
    size = len(encode(a_message(1, 1)))
    assert [len(page) for page in pages_of(index, 0, limit, messages * size)] == sizes


def test_p5_what_is_kept_of_changes_does_not_grow_with_their_number() -> None:
    index = Index(QueueConfig(aging_ms=1), empty_storage())
    for seq in range(1, 10_000):
        message = a_message(seq % 10, seq)
        index.put(message, encode(message))
        assert len(index._changes) <= MIN_COMPACTED + 2 * 10
    assert [seq for seq, _ in index.changed_after(0)[0]] == list(range(9_990, 10_000))


def step(wall: Wall, call: str, pick: int) -> None:
    """One call of some kind; its result is ignored."""
    messages = wall.messages()
    some = messages[pick % len(messages)] if messages else None
    match call:
        case "post":
            wall.ask(f"number {pick}")
        case "claim":
            wall.claim_next(1 + pick % 2)
        case "crash":
            wall.runtime.crash()
        case "evict":
            wall.runtime.evict_idle()
            wall.runtime.evict_idle()
        case "time":
            wall.runtime.advance(pick / 2)
        case _ if some is not None:
            of_message(wall, call, some)


def of_message(wall: Wall, call: str, some: Message) -> None:
    worker, attempt = some.bot_params.claimed_by or "nobody", max(some.bot_params.attempt, 1)
    try:
        match call:
            case "answer":
                wall.answer(some.id)
            case "complete":
                wall.call(MessageQueue.complete, some.id, reply=Reply("An answer."))
            case "fail":
                wall.call(MessageQueue.fail, some.id, worker, attempt, "no words", retry=some.timestamp % 2 == 0)
            case "retry":
                wall.call(MessageQueue.retry, some.id)
            case "extend":
                wall.call(MessageQueue.extend, some.id, worker, attempt)
    except Refusal:
        pass


CALLS = ["post", "post", "claim", "claim", "answer", "complete", "fail", "retry", "extend", "time", "crash", "evict"]


@settings(max_examples=examples(100))
@given(steps=st.lists(st.tuples(st.sampled_from(CALLS), st.integers(0, 9)), max_size=30), data=st.data())
def test_p5_changes_are_the_messages_that_later_commits_changed(steps: list[tuple[str, int]], data: st.DataObject) -> None:
    wall = Wall(lease_ms=2_000, backoff_ms=500, max_attempts=2, retention=3)
    for call, pick in steps:
        step(wall, call, pick)
        seq = wall.call(MessageQueue.stats).seq
        since = data.draw(st.integers(0, seq))
        page = wall.call(MessageQueue.changes, since)
        received = [decode(encoded) for encoded in page.messages]
        assert page.seq == seq
        assert [message.seq for message in received] == sorted(message.seq for message in received), "the last change last"
        assert sorted((message.seq, message.id) for message in received) == naive(wall.messages(), since)
        assert {message.id: message for message in received}.items() <= {
            message.id: message for message in wall.messages()
        }.items()


@settings(max_examples=examples(100))
@given(
    steps=st.lists(st.tuples(st.sampled_from(CALLS), st.integers(0, 9)), max_size=30),
    since=st.integers(0, 30),
    limit=st.integers(1, 5),
)
def test_p5_pages_of_changes_are_all_of_them_and_divide_no_commit(steps: list[tuple[str, int]], since: int, limit: int) -> None:
    wall = Wall(lease_ms=2_000, backoff_ms=500, max_attempts=2, retention=3)
    for call, pick in steps:
        step(wall, call, pick)
    since = min(since, wall.call(MessageQueue.stats).seq)
    everything = wall.call(MessageQueue.changes, since)
    received: list[Message] = []
    token, more = since, True
    while more:
        page = wall.call(MessageQueue.changes, token, limit)
        few = [decode(encoded) for encoded in page.messages]
        more = len(few) >= limit
        assert page.seq > token or not few
        assert {message.seq for message in few}.isdisjoint(message.seq for message in received)
        assert sum(message.seq < few[-1].seq for message in few) < limit
        received += few
        token = page.seq
    assert token == everything.seq
    assert received == [decode(encoded) for encoded in everything.messages]


def test_p5_changes_come_in_the_order_of_the_last_change_not_of_the_messages() -> None:
    wall = Wall()
    first, second, third = (wall.ask(text) for text in ("first", "second", "third"))
    wall.claim(first)
    assert ids(changes(wall, 0)) == [second, third, first]
    assert ids(changes(wall, 2)) == [third, first]
    assert ids(changes(wall, 3)) == [first]
    assert changes(wall, 4) == []


def test_p5_changes_are_the_same_once_the_object_was_rebuilt_from_storage() -> None:
    wall = Wall()
    first, second = wall.ask("first"), wall.ask("second")
    wall.claim(first)
    third = wall.ask("third")
    wall.runtime.crash()
    assert [ids(changes(wall, since)) for since in range(5)] == [
        [second, first, third],
        [second, first, third],
        [first, third],
        [third],
        [],
    ]
    wall.claim(second)
    assert ids(changes(wall, 1)) == [first, third, second]


def test_p6_a_message_that_was_pruned_is_no_change() -> None:
    wall = Wall(retention=1)
    first, second, unfinished = (wall.ask(text) for text in ("first", "second", "unfinished"))
    for asked in (first, second):
        wall.claim(asked)
        wall.call(MessageQueue.complete, asked)
    for _ in range(2):
        assert ids(changes(wall, 0)) == [unfinished, second]
        assert ids(changes(wall, 3)) == [second]
        wall.runtime.crash()


def test_p5_a_token_from_before_everything_and_one_from_the_future() -> None:
    """One from the future comes from other data, a restored backup: everything is new to its reader."""
    wall = Wall()
    assert wall.call(MessageQueue.changes, 0).seq == 0
    asked = wall.ask()
    page = wall.call(MessageQueue.changes, 99)
    assert (page.seq, [decode(encoded).id for encoded in page.messages]) == (1, [asked])


def test_p5_a_message_that_one_call_changed_twice_is_given_in_its_last_state() -> None:
    """A lease that ran out while its alarm was late ends in the very call that begins the next one."""
    wall = Wall(lease_ms=1_000)
    asked = wall.ask()
    wall.claim(asked)
    wall.runtime.now_ms += 1_000
    received = listen(wall.stub)
    (held,) = wall.claim_next(1)
    assert len(received.heard()) == 2
    (changed,) = changes(wall, 2)
    assert changed == held == replace(held, seq=3)
    assert (changed.bot_params.status, changed.bot_params.attempt) == ("processing", 2)
