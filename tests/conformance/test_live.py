"""The WebSocket feed: what was missed, then everything as it happens, to those who may read and keep up."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from calls import Json, a_post, assert_problem, claim, claim_next, metric, post, queue, read, said
from crowd import Crowd
from readers import MAX_MISSED, DeafReader, Feed, RestlessReader, shake_hands
from websockets.exceptions import ConnectionClosed

from conftest import StartServer
from servers import Server, until

FRIEND = "https://friend.example"
STRANGER = "https://stranger.example"


@pytest.fixture
def feed(server: Server) -> Iterator[Feed]:
    """A socket on the shared server that has been told what there was."""
    with Feed(server) as feed:
        feed.missed()
        yield feed


def seq(server: Server) -> int:
    """The last commit."""
    return int(server.http.get("/api/comments", params={"limit": 1}).headers["etag"].strip('"'))


def by_change(messages: list[Json]) -> list[Json]:
    return sorted(messages, key=lambda message: message["seq"])


def readers(server: Server) -> float:
    return metric(server, "sww_live_readers")


# -- What was missed


def test_p5_a_reader_of_an_empty_wall_is_told_so_and_then_of_the_first_message(start_server: StartServer) -> None:
    server = start_server()
    with Feed(server) as feed:
        assert feed.frame() == {"seq": 0, "events": []}
        posted = post(server)
        assert feed.until_message(posted["id"])["timestamp"] == posted["timestamp"]
        assert feed.picture.token == 1


def test_p5_what_was_missed_comes_first_as_it_stands_now_and_in_the_order_of_its_changes(start_server: StartServer) -> None:
    server = start_server()
    changed, untouched, answered = (post(server, text)["id"] for text in ("changed", "untouched", "answered"))
    claim(server, answered)
    reply = said(queue(server, "complete", messageId=answered, reply={"text": "An answer."}))["id"]
    claim(server, changed)
    with Feed(server) as feed:
        missed = feed.missed()
        assert [message["id"] for message in missed] == [untouched, reply, answered, changed]
        assert missed == by_change(read(server))
        assert feed.frames == [{"seq": seq(server), "events": [{"type": "message", "message": message} for message in missed]}]


def test_p5_what_was_missed_is_only_what_changed_after_the_token(start_server: StartServer) -> None:
    server = start_server()
    old, changed = post(server, "old")["id"], post(server, "changed")["id"]
    with Feed(server) as first:
        first.missed()
        token = first.picture.token
    claim(server, changed)
    new = post(server, "new")["id"]
    with Feed(server, token) as feed:
        assert [message["id"] for message in feed.missed()] == [changed, new]
        assert old not in feed.picture.messages


def test_p5_a_reader_that_missed_nothing_gets_a_frame_all_the_same(server: Server) -> None:
    post(server)
    now = seq(server)
    with Feed(server, now) as feed:
        assert feed.frame() == {"seq": now, "events": []}


@pytest.mark.parametrize(("posts", "sizes"), [(100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_p5_much_that_was_missed_comes_in_frames_that_say_that_more_follows(
    start_server: StartServer, posts: int, sizes: list[int]
) -> None:
    server = start_server()
    first = post(server, "known already")
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda number: post(server, f"missed {number}"), range(posts)))
    with Feed(server, 1) as feed:
        missed = feed.missed()
        assert missed == by_change(read(server, since=first["timestamp"]))
        assert [len(frame["events"]) for frame in feed.frames] == sizes
        assert max(sizes) <= MAX_MISSED
        # Who is cut off before the last frame comes back with the token it had.
        assert [frame["seq"] for frame in feed.frames] == [1] * (len(sizes) - 1) + [posts + 1]
        assert [frame.get("more", False) for frame in feed.frames] == [True] * (len(sizes) - 1) + [False]


# -- What happens


def test_p5_every_change_of_a_message_is_told_in_its_order(feed: Feed, server: Server) -> None:
    posted = post(server, entity="zen")["id"]
    claim(server, posted)
    said(queue(server, "extend", messageId=posted, workerId="worker-1", attempt=1))
    said(queue(server, "fail", messageId=posted, workerId="worker-1", attempt=1, error="never", retry=False))
    said(queue(server, "retry", messageId=posted))
    claim(server, posted, "worker-2")
    done = said(queue(server, "complete", messageId=posted, workerId="worker-2", attempt=2, reply={"text": "At last."}))
    feed.until_message(posted, status="complete")
    told = [event["message"] for event in feed.events if event["message"]["id"] in {posted, done["id"]}]
    assert [(message["id"], message["botParams"]["status"], message["botParams"]["attempt"]) for message in told] == [
        (posted, "pending", 0),
        (posted, "processing", 1),
        (posted, "processing", 1),
        (posted, "failed", 1),
        (posted, "pending", 1),
        (posted, "processing", 2),
        (done["id"], "complete", 0),
        (posted, "complete", 2),
    ]
    assert [message for message in told if message["id"] == posted][-1]["botParams"]["answeredBy"] == done["id"]
    assert [message["seq"] for message in told[:-1]] == sorted({message["seq"] for message in told}), "a commit each"


def test_p4_a_reply_and_the_completion_it_belongs_to_come_in_one_frame(feed: Feed, server: Server) -> None:
    posted = post(server)["id"]
    claim(server, posted)
    done = said(queue(server, "complete", messageId=posted, reply={"text": "Because."}))
    feed.until_message(posted, status="complete")
    assert {done["id"], posted} <= {event["message"]["id"] for event in feed.frames[-1]["events"]}


def test_p4_a_lease_that_runs_out_is_told_with_where_the_message_went(start_server: StartServer) -> None:
    server = start_server(lease_seconds=1, max_attempts=1)
    posted = post(server)["id"]
    with Feed(server) as feed:
        feed.missed()
        claim(server, posted)
        assert feed.until(lambda event: event["type"] == "leaseEnded") == {"type": "leaseEnded", "id": posted}
        assert [event["type"] for event in feed.frames[-1]["events"]] == ["leaseEnded", "message"]
        assert feed.picture.messages[posted]["botParams"]["status"] == "failed"


def test_p2_whoever_is_told_of_a_commit_can_read_it_and_whoever_made_it_is_told(feed: Feed, server: Server) -> None:
    for number in range(20):
        posted = post(server, f"number {number}")
        told = feed.until_message(posted["id"])
        assert read(server, since=posted["timestamp"] - 1) == [told]
        assert feed.picture.token == told["seq"] == seq(server)


def test_p5_the_token_never_goes_back_and_ends_at_the_last_commit(feed: Feed, server: Server) -> None:
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda number: post(server, f"at once {number}"), range(100)))
    feed.until_token(seq(server))
    assert feed.picture.tokens == sorted(feed.picture.tokens)
    assert feed.picture.token == seq(server)
    assert list(feed.picture.messages.values()) == by_change(read(server))


def test_p2_a_reply_being_written_is_shown_but_never_stored(feed: Feed, server: Server) -> None:
    posted = post(server)["id"]
    claim(server, posted)
    before = feed.until_message(posted, status="processing")["seq"]
    for text in ("Bec", "Because \U0001f30c"):
        said(queue(server, "progress", messageId=posted, workerId="worker-1", attempt=1, text=text))
        event = feed.until(lambda event: event["type"] == "progress")
        assert event == {"type": "progress", "id": posted, "attempt": 1, "text": text}
        assert feed.picture.token == before
    with Feed(server, before - 1) as later:
        later.missed()
        assert [(event["type"], event["message"]["id"]) for event in later.events] == [("message", posted)]


def test_p3_a_refused_call_tells_nobody_anything(feed: Feed, server: Server) -> None:
    posted = post(server)["id"]
    assert_problem(queue(server, "complete", messageId=posted), 409)
    assert_problem(queue(server, "progress", messageId=posted, workerId="worker-1", attempt=1, text="no"), 409)
    assert_problem(server.http.post("/api/comments", json=a_post("")), 422)
    last = post(server)["id"]
    feed.until_message(last)
    assert [event["message"]["id"] for event in feed.events][-2:] == [posted, last]


# -- Coming back


def test_p5_a_reader_that_comes_back_with_its_token_misses_nothing_and_hears_nothing_twice(server: Server) -> None:
    with Feed(server) as feed:
        feed.missed()
        seen = post(server, "seen")["id"]
        feed.until_message(seen)
        token = feed.picture.token
    missed = [post(server, f"missed {number}")["id"] for number in range(3)]
    with Feed(server, token) as feed:
        assert [message["id"] for message in feed.missed()] == missed
        last = post(server, "live again")["id"]
        feed.until_message(last)
        assert [event["message"]["id"] for event in feed.events] == [*missed, last]


def test_p5_a_token_is_good_after_sigkill_and_restart(start_server: StartServer) -> None:
    server = start_server()
    told, changed = post(server, "told")["id"], post(server, "changed")["id"]
    with Feed(server) as feed:
        feed.missed()
        token = feed.picture.token
        claim(server, changed)
        missed = post(server, "missed")["id"]
        server.restart()
        feed.close_code()
    with Feed(server, token) as feed:
        assert [message["id"] for message in feed.missed()] == [changed, missed]
        assert told not in feed.picture.messages
        last = post(server, "after the restart")["id"]
        assert feed.until_message(last)["seq"] == feed.picture.token == token + 3


def test_p5_readers_who_cut_and_come_back_while_many_write_and_the_server_dies_see_one_and_the_same_wall(
    start_server: StartServer,
) -> None:
    """Every frame is checked as it comes, see ``Picture``; and nothing was ever told that a crash took back (P2)."""
    server = start_server(lease_seconds=1, backoff_seconds=0.05, max_attempts=5, retention=100_000)
    with ExitStack() as stack:
        crowd = stack.enter_context(Crowd(server.url, people=3, bots=2, posts=60))
        restless = [stack.enter_context(RestlessReader(server.url, number)) for number in range(4)]
        for posts in (30, 80, 130):
            until(lambda posts=posts: len(crowd.posted) >= posts, f"{posts} posts")  # type: ignore[misc]
            server.restart()
        crowd.stop_posting()
        until(lambda: said(server.http.get("/api/stats"))["backlog"] == 0, "the end of all work")
        last, wall = seq(server), {message["id"]: message for message in read(server)}
        for reader in restless:
            reader.until_token(last)
    assert crowd.broken == []
    told: dict[tuple[str, int], Json] = {}
    for reader in restless:
        assert reader.picture.messages == wall
        assert reader.sockets > 3
        for key, message in reader.picture.told.items():
            assert told.setdefault(key, message) == message, f"{key} is not the same for all"


# -- Who may listen


@pytest.mark.parametrize("origin", [STRANGER, "null", "http://127.0.0.1", "http://127.0.0.1:1"])
def test_p8_pages_of_other_sites_are_refused_at_the_handshake(server: Server, origin: str) -> None:
    before = readers(server)
    assert_problem(shake_hands(server, Origin=origin), 403, origin)
    assert readers(server) == before


def test_p8_own_pages_and_programs_are_let_in(server: Server) -> None:
    for headers in ({}, {"Origin": server.url}, {"Origin": "https://wall.example", "Host": "wall.example"}):
        assert shake_hands(server, **headers).status_code == 101


def test_p8_pages_of_the_sites_that_the_settings_name_are_let_in(start_server: StartServer) -> None:
    server = start_server(cors_origins=f"{FRIEND},https://another.example")
    for origin in (FRIEND, "https://another.example", server.url):
        assert shake_hands(server, Origin=origin).status_code == 101
    assert_problem(shake_hands(server, Origin=STRANGER), 403, STRANGER)


def test_p8_pages_of_all_sites_are_let_in_where_the_settings_say_so(start_server: StartServer) -> None:
    server = start_server(cors_origins="*")
    assert shake_hands(server, Origin=STRANGER).status_code == 101


def test_p8_the_feed_needs_no_token(start_server: StartServer) -> None:
    """Anyone may read."""
    assert shake_hands(start_server(bot_token="x" * 32)).status_code == 101


@pytest.mark.parametrize("since", ["now", "", "-1", "1.5", "9" * 400, "%00", "0x10"])
def test_p8_a_token_that_is_none_is_refused_at_the_handshake(server: Server, since: str) -> None:
    assert_problem(shake_hands(server, f"?since={since}"), 422, "since")


def test_p8_a_get_without_a_handshake_is_told_to_upgrade(server: Server) -> None:
    response = server.http.get("/api/ws")
    assert_problem(response, 426, "WebSocket")
    assert response.headers["upgrade"] == "websocket"


def test_p8_sockets_of_one_address_are_bounded_and_one_that_goes_makes_room(start_server: StartServer) -> None:
    server = start_server(sockets_per_address=2)
    with Feed(server) as first:
        with Feed(server):
            assert readers(server) == 2
            assert_problem(shake_hands(server), 429, "2 sockets")
            assert readers(server) == 2
        until(lambda: readers(server) == 1, "the seat")
        with Feed(server) as third:
            assert_problem(shake_hands(server), 429)
            last = post(server)["id"]
            first.until_message(last)
            third.until_message(last)
    until(lambda: readers(server) == 0, "everybody's leave")


def test_p8_refused_handshakes_take_nobodys_seat(start_server: StartServer) -> None:
    server = start_server(sockets_per_address=1)
    for _ in range(3):
        assert_problem(shake_hands(server, Origin=STRANGER), 403)
        assert_problem(shake_hands(server, "?since=now"), 422)
    assert shake_hands(server).status_code == 101


# -- Readers who do what they should not


@pytest.mark.parametrize(
    ("said_by_reader", "code"),
    [("hello", 1_008), (b"hello", 1_008), ("x" * 1_024, 1_008), ("x" * 1_025, 1_009)],
    ids=["text", "bytes", "as much as it may", "more than it may"],
)
def test_p8_a_reader_that_says_something_is_shown_the_door(server: Server, said_by_reader: str | bytes, code: int) -> None:
    with Feed(server) as witness, Feed(server) as feed:
        witness.missed()
        feed.missed()
        feed.socket.send(said_by_reader)
        assert feed.close_code() == code
        last = post(server)["id"]
        witness.until_message(last)


def test_p8_a_reader_that_says_very_much_is_gone_before_it_has_said_it(server: Server) -> None:
    with Feed(server) as witness, Feed(server) as feed:
        witness.missed()
        feed.missed()
        before = readers(server)
        with suppress(ConnectionClosed):
            feed.socket.send(b"x" * 2**24)
        # What it had yet to say may have the kernel take back the frame that says why.
        assert feed.close_code() in {1_009, None}
        until(lambda: readers(server) == before - 1, "the seat")
        witness.until_message(post(server)["id"])


def test_p8_a_reader_may_ping(feed: Feed, server: Server) -> None:
    assert feed.socket.ping().wait(20)
    feed.until_message(post(server)["id"])


def memory(server: Server) -> int:
    """Bytes that the server has in memory."""
    (line,) = [line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1_024


def test_p6_readers_who_never_read_are_cut_and_cost_neither_memory_nor_anybody_a_message(start_server: StartServer) -> None:
    server = start_server(retention=3)
    with Feed(server) as witness, ExitStack() as stack:
        witness.missed()
        for _ in range(10):
            stack.enter_context(DeafReader(server))
        until(lambda: readers(server) == 11, "all readers")
        before = memory(server)
        posted = []

        def cut() -> bool:
            posted.append(post_and_finish(server, "x" * 5_000))
            witness.until_message(posted[-1], status="complete")
            return metric(server, "sww_live_too_slow_total") == 10

        until(cut, "the cut", every=0)
        assert readers(server) == 1
        # Each could have had MAX_BEHIND_CHARS waiting; frames are shared by all, so that it is far less than ten times that.
        assert memory(server) - before < 40 * 1024 * 1024
        told = [event["message"]["id"] for event in witness.events if event["message"]["botParams"]["status"] == "complete"]
        assert told == posted


def post_and_finish(server: Server, text: str) -> str:
    posted: str = post(server, text)["id"]
    claim(server, posted)
    said(queue(server, "complete", messageId=posted))
    return posted


def test_p6_a_large_wall_is_not_copied_for_each_reader_that_has_missed_it(start_server: StartServer) -> None:
    server = start_server()
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda _: post(server, "x" * 5_000), range(2_000)))
    before = memory(server)
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(DeafReader(server))
        until(lambda: readers(server) == 20, "all readers")
        with Feed(server) as feed:
            assert feed.missed() == by_change(read(server))
        assert memory(server) - before < 100 * 1024 * 1024, "20 times 10 MB would be twice that"


def test_p6_a_reader_that_was_cut_catches_up_with_its_token(start_server: StartServer) -> None:
    server = start_server()
    with Feed(server) as feed:
        token = feed.frame()["seq"]
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda _: post(server, '"' * 5_000), range(150)))
    with Feed(server, token) as feed:
        assert feed.missed() == by_change(read(server))


def test_p6_a_reader_that_keeps_up_is_not_cut_for_a_large_commit(start_server: StartServer) -> None:
    """A hundred messages of the longest text, each character of two in JSON, claimed in one step by the longest name."""
    server = start_server()
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda _: post(server, '"' * 5_000), range(100)))
    with Feed(server) as feed:
        feed.missed()
        claimed = claim_next(server, '"' * 128, limit=100)
        feed.until_message(claimed[-1]["id"], status="processing")
        assert by_change(list(feed.picture.messages.values())) == by_change(claimed)


# -- The end


def test_p5_readers_of_a_server_that_stops_are_told_to_come_back_later(start_server: StartServer) -> None:
    server = start_server()
    post(server)
    with Feed(server) as first, Feed(server) as second:
        for feed in (first, second):
            feed.missed()
        assert server.terminate() == 0
        assert {first.close_code(), second.close_code()} <= {1_001, 1_012}
        token = first.picture.token
    server.start()
    with Feed(server, token) as feed:
        assert feed.missed() == []
        feed.until_message(post(server)["id"])


def test_p5_a_server_stops_in_order_though_a_reader_never_reads(start_server: StartServer) -> None:
    server = start_server()
    with DeafReader(server):
        until(lambda: readers(server) == 1, "the reader")
        with ThreadPoolExecutor(8) as people:
            list(people.map(lambda _: post(server, "x" * 5_000), range(1_000)))
        assert server.terminate() == 0
