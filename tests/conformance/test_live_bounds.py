"""Readers of the WebSocket feed who do what they should not: they are cut, and cost nobody else anything."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from calls import claim, claim_next, metric, post, queue, read, said
from readers import DeafReader, Feed, by_change, listening
from websockets.exceptions import ConnectionClosed

from conftest import StartServer
from servers import Server, until


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
        with suppress(ConnectionClosed):
            feed.socket.send(b"x" * 2**24)
        # What it had yet to say may have the kernel take back the frame that says why.
        assert feed.close_code() in {1_009, None}
        until(lambda: listening(server) == 1, "the seat")
        witness.until_message(post(server)["id"])


def test_p8_a_reader_may_ping(server: Server) -> None:
    with Feed(server) as feed:
        feed.missed()
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
        until(lambda: listening(server) == 11, "all readers")
        before = memory(server)
        posted = []

        def cut() -> bool:
            posted.append(post_and_finish(server, "x" * 5_000))
            witness.until_message(posted[-1], status="complete")
            return metric(server, "sww_live_too_slow_total") == 10

        until(cut, "the cut", every=0)
        assert listening(server) == 1
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
        until(lambda: listening(server) == 20, "all readers")
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
