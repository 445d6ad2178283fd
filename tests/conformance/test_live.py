"""The WebSocket feed: what was missed, then every change as it happens, across everything that disconnects a reader."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from calls import Json, a_post, assert_problem, claim, post, queue, read, said
from clients import Clients
from readers import MAX_MISSED, Feed, ReconnectingReader, StalledReader, by_change, open_sockets
from tokens import token_of

from conftest import StartServer
from servers import Server, until


@pytest.fixture
def feed(server: Server) -> Iterator[Feed]:
    """A socket on the shared server that has caught up."""
    with Feed(server) as feed:
        feed.missed()
        yield feed


def seq(server: Server) -> int:
    """The last commit of the only object."""
    return int(token_of(server))


# -- What was missed


@pytest.mark.needs("one object")
def test_p5_a_reader_of_an_empty_wall_gets_an_empty_frame_and_then_the_first_message(start_server: StartServer) -> None:
    server = start_server()
    with Feed(server) as feed:
        assert feed.frame() == {"seq": 0, "events": []}
        posted = post(server)
        assert feed.until_message(posted["id"])["timestamp"] == posted["timestamp"]
        assert feed.view.token == 1


@pytest.mark.needs("one object")
def test_p5_what_was_missed_comes_first_as_it_is_now_in_the_order_of_its_changes(server: Server) -> None:
    token = seq(server)
    changed, untouched, answered = (post(server, text)["id"] for text in ("changed", "untouched", "answered"))
    claim(server, answered)
    reply = said(queue(server, "complete", messageId=answered, reply={"text": "An answer."}))["id"]
    claim(server, changed)
    with Feed(server, token) as feed:
        missed = feed.missed()
        assert [message["id"] for message in missed] == [untouched, answered, reply, changed]
        assert missed == by_change([message for message in read(server) if message["seq"] > token])
        assert feed.frames == [{"seq": seq(server), "events": [{"type": "message", "message": message} for message in missed]}]


def test_p5_only_what_changed_after_the_token_was_missed(server: Server) -> None:
    old, changed = post(server, "old")["id"], post(server, "changed")["id"]
    with Feed(server) as first:
        first.missed()
        token = first.view.token
    claim(server, changed)
    new = post(server, "new")["id"]
    with Feed(server, token) as feed:
        assert [message["id"] for message in feed.missed()] == [changed, new]
        assert old not in feed.view.messages


@pytest.mark.needs("one object")
def test_p5_a_reader_that_missed_nothing_gets_a_frame_all_the_same(server: Server) -> None:
    post(server)
    now = seq(server)
    with Feed(server, now) as feed:
        assert feed.frame() == {"seq": now, "events": []}


@pytest.mark.needs("one object")
@pytest.mark.parametrize(("posts", "sizes"), [(100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_p5_much_that_was_missed_comes_in_pages_each_with_its_own_token(server: Server, posts: int, sizes: list[int]) -> None:
    known = post(server, "known already")
    token = seq(server)
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda number: post(server, f"missed {number}"), range(posts)))
    with Feed(server, token) as feed:
        missed = feed.missed()
        assert missed == by_change(read(server, since=known["timestamp"]))
        assert [len(frame["events"]) for frame in feed.frames] == sizes
        assert max(sizes) <= MAX_MISSED
        # A reader that is disconnected between two pages goes on with the second.
        assert [frame["seq"] for frame in feed.frames] == [token + sum(sizes[: page + 1]) for page in range(len(sizes))]
        assert [frame.get("more", False) for frame in feed.frames] == [True] * (len(sizes) - 1) + [False]


# -- What happens


def test_p5_every_change_of_a_message_is_an_event_but_a_heartbeat(feed: Feed, server: Server) -> None:
    posted = post(server, entity="zen")["id"]
    claim(server, posted)
    said(queue(server, "extend", messageId=posted, workerId="worker-1", attempt=1))
    said(queue(server, "fail", messageId=posted, workerId="worker-1", attempt=1, error="never", retry=False))
    said(queue(server, "retry", messageId=posted))
    claim(server, posted, "worker-2")
    done = said(queue(server, "complete", messageId=posted, workerId="worker-2", attempt=2, reply={"text": "At last."}))
    feed.until_message(posted, status="complete")
    changes = [event["message"] for event in feed.events if event["message"]["id"] in {posted, done["id"]}]
    assert [(message["id"], message["botParams"]["status"], message["botParams"]["attempt"]) for message in changes] == [
        (posted, "pending", 0),
        (posted, "processing", 1),
        (posted, "failed", 1),
        (posted, "pending", 1),
        (posted, "processing", 2),
        (posted, "complete", 2),
        (done["id"], "complete", 0),
    ]
    assert [message for message in changes if message["id"] == posted][-1]["botParams"]["answeredBy"] == done["id"]
    assert [message["seq"] for message in changes[:-1]] == sorted({message["seq"] for message in changes}), "a commit each"


def test_p4_a_reply_and_the_completion_it_belongs_to_come_in_one_frame(feed: Feed, server: Server) -> None:
    posted = post(server)["id"]
    claim(server, posted)
    done = said(queue(server, "complete", messageId=posted, reply={"text": "Because."}))
    feed.until_message(posted, status="complete")
    assert {done["id"], posted} <= {event["message"]["id"] for event in feed.frames[-1]["events"]}


def test_p4_a_lease_that_runs_out_is_an_event_with_what_the_message_became(start_server: StartServer) -> None:
    server = start_server(lease_seconds=1, max_attempts=1)
    posted = post(server)["id"]
    with Feed(server) as feed:
        feed.missed()
        claim(server, posted)
        ended = feed.until(lambda event: event.get("message", {}).get("botParams", {}).get("status") == "failed")
        assert ended["message"]["id"] == posted
        assert [event["type"] for event in feed.frames[-1]["events"]] == ["message"]


@pytest.mark.needs("one object")
def test_p2_a_reader_that_gets_a_message_can_read_it(feed: Feed, server: Server) -> None:
    for number in range(20):
        posted = post(server, f"number {number}")
        received = feed.until_message(posted["id"])
        assert read(server, since=posted["timestamp"] - 1) == [received]
        assert feed.view.token == received["seq"] == seq(server)


@pytest.mark.needs("one object")
def test_p5_the_token_never_goes_back_and_ends_at_the_last_commit(feed: Feed, server: Server) -> None:
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda number: post(server, f"at once {number}"), range(100)))
    feed.until_token(token_of(server))
    assert feed.view.tokens == sorted(feed.view.tokens)
    assert feed.view.token == seq(server)
    assert list(feed.view.messages.values()) == by_change(read(server))


def test_p2_a_reply_being_written_comes_in_pieces_and_is_never_stored(feed: Feed, server: Server) -> None:
    posted = post(server)["id"]
    earlier = token_of(server)
    claim(server, posted)
    feed.until_message(posted, status="processing")
    before = feed.view.token
    pieces = [
        ("Bec", 0, "Bec"),
        ("Because \U0001f30c", 3, "ause \U0001f30c"),
        ("Because \U0001f30c of", 9, " of"),
        ("No.", 0, "No."),
    ]
    for text, offset, piece in pieces:
        said(queue(server, "progress", messageId=posted, workerId="worker-1", attempt=1, text=text))
        event = feed.until(lambda event: event["type"] == "progress")
        assert event == {"type": "progress", "id": posted, "attempt": 1, "offset": offset, "text": piece}
        assert feed.view.token == before
    with Feed(server, earlier) as later:
        later.frame()
        message, progress = later.events
        assert message["message"]["id"] == posted
        assert progress == {"type": "progress", "id": posted, "attempt": 1, "offset": 0, "text": "No."}
    said(queue(server, "complete", messageId=posted, workerId="worker-1", attempt=1, reply={"text": "No."}))
    with Feed(server, earlier) as last:
        assert len(last.missed()) == len(last.events) == 2


def test_p2_readers_see_what_a_bot_does_before_its_first_word_also_when_they_come_later(feed: Feed, server: Server) -> None:
    posted = post(server)["id"]
    earlier = token_of(server)
    claim(server, posted)
    feed.until_message(posted, status="processing")
    for state in ("waking", "thinking"):
        said(queue(server, "progress", messageId=posted, workerId="worker-1", attempt=1, state=state))
        event = feed.until(lambda event: event["type"] == "progress")
        assert event == {"type": "progress", "id": posted, "attempt": 1, "offset": 0, "text": "", "state": state}
        with Feed(server, earlier) as later:
            later.frame()
            assert later.events[-1] == event
    refused = queue(server, "progress", messageId=posted, workerId="worker-1", attempt=1)
    assert_problem(refused, 422, "text", "must have 1 to 5000 characters")
    said(queue(server, "release", messageId=posted, workerId="worker-1", attempt=1))
    with Feed(server, earlier) as last:
        last.frame()
        assert [event["type"] for event in last.events] == ["message"]


def test_p3_a_refused_call_is_no_event(feed: Feed, server: Server) -> None:
    posted = post(server)["id"]
    assert_problem(queue(server, "complete", messageId=posted), 409)
    assert_problem(queue(server, "progress", messageId=posted, workerId="worker-1", attempt=1, text="no"), 409)
    assert_problem(server.http.post("/api/comments", json=a_post("")), 422)
    last = post(server)["id"]
    feed.until_message(last)
    assert [event["message"]["id"] for event in feed.events][-2:] == [posted, last]


# -- Reconnecting


def test_p5_a_reader_that_reconnects_with_its_token_misses_nothing_and_gets_nothing_twice(server: Server) -> None:
    with Feed(server) as feed:
        feed.missed()
        seen = post(server, "seen")["id"]
        feed.until_message(seen)
        token = feed.view.token
    missed = [post(server, f"missed {number}")["id"] for number in range(3)]
    with Feed(server, token) as feed:
        assert [message["id"] for message in feed.missed()] == missed
        last = post(server, "live again")["id"]
        feed.until_message(last)
        assert [event["message"]["id"] for event in feed.events] == [*missed, last]


@pytest.mark.needs("one object")
@pytest.mark.needs("durability")
def test_p5_a_token_is_good_after_sigkill_and_restart(start_server: StartServer) -> None:
    server = start_server()
    known, changed = post(server, "known")["id"], post(server, "changed")["id"]
    with Feed(server) as feed:
        feed.missed()
        token = feed.view.token
        claim(server, changed)
        missed = post(server, "missed")["id"]
        server.restart()
        feed.close_code()
    with Feed(server, token) as feed:
        assert [message["id"] for message in feed.missed()] == [changed, missed]
        assert known not in feed.view.messages
        last = post(server, "after the restart")["id"]
        assert feed.until_message(last)["seq"] == feed.view.token == int(token) + 3


@pytest.mark.needs("durability")
def test_p5_reconnecting_readers_of_a_server_that_is_killed_see_one_wall(start_server: StartServer) -> None:
    """``WallView`` checks every frame; and no reader has a state that a crash took back (P2)."""
    server = start_server(lease_seconds=1, backoff_seconds=0.05, max_attempts=5, retention=100_000)
    with ExitStack() as stack:
        clients = stack.enter_context(Clients(server.url, people=3, bots=2, posts=30))
        readers = [stack.enter_context(ReconnectingReader(server.url, number)) for number in range(4)]
        for posts in (20, 40, 60):
            until(lambda posts=posts: len(clients.posted) >= posts, f"{posts} posts")  # type: ignore[misc]
            server.restart()
        clients.stop_posting()
        until(lambda: said(server.http.get("/api/stats"))["backlog"] == 0, "the end of all work")
        last, wall = token_of(server), {message["id"]: message for message in read(server)}
        for reader in readers:
            reader.until_token(last)
    assert clients.errors == []
    received: dict[tuple[str, int], Json] = {}
    for reader in readers:
        assert reader.view.messages == wall
        assert reader.sockets > 3
        for key, message in reader.view.received.items():
            assert received.setdefault(key, message) == message, f"{key} is not the same for all"


# -- The end


@pytest.mark.needs("durability", "own connections")
def test_p5_readers_of_a_server_that_stops_are_asked_to_reconnect(start_server: StartServer) -> None:
    server = start_server()
    post(server)
    with Feed(server) as first, Feed(server) as second:
        for feed in (first, second):
            feed.missed()
        assert server.terminate() == 0
        assert {first.close_code(), second.close_code()} <= {1_001, 1_012}
        token = first.view.token
    server.start()
    with Feed(server, token) as feed:
        assert feed.missed() == []
        feed.until_message(post(server)["id"])


@pytest.mark.one_deployment("the server ends its sockets, whatever is behind it")
def test_p5_a_server_stops_in_order_though_a_reader_never_reads(start_server: StartServer) -> None:
    server = start_server()
    with StalledReader(server):
        until(lambda: open_sockets(server) == 1, "the reader")
        with ThreadPoolExecutor(8) as people:
            list(people.map(lambda _: post(server, "x" * 5_000), range(1_000)))
        assert server.terminate() == 0
