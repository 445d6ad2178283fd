"""WebSocket clients that do what they should not: they are disconnected, and cost nobody else anything."""

import json
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import pytest
from calls import Json, claim_next, metric, post, read
from readers import HANDSHAKE, Feed, ReconnectingReader, by_change, open_sockets
from tokens import Token, token_of
from websockets.exceptions import ConnectionClosed

from conftest import StartServer
from servers import DEADLINE_SECONDS, Server, until

pytestmark = pytest.mark.one_deployment("connections are bounded without any object")

LONG_TEXT = '"' * 5_000
"""The longest text: each of its characters is two in JSON."""


@pytest.mark.parametrize(
    ("message", "code"),
    [("hello", 1_008), (b"hello", 1_008), ("x" * 1_024, 1_008), ("x" * 1_025, 1_009)],
    ids=["text", "bytes", "the longest", "too long"],
)
def test_p8_a_client_that_sends_a_message_is_closed(server: Server, message: str | bytes, code: int) -> None:
    with Feed(server) as other, Feed(server) as feed:
        other.missed()
        feed.missed()
        feed.socket.send(message)
        assert feed.close_code() == code
        other.until_message(post(server)["id"])


def test_p8_a_client_that_sends_a_very_long_message_is_closed_before_its_end(server: Server) -> None:
    with Feed(server) as other, Feed(server) as feed:
        other.missed()
        feed.missed()
        with suppress(ConnectionClosed):
            feed.socket.send(b"x" * 2**24)
        # What it had yet to send may have the kernel drop the frame with the reason.
        assert feed.close_code() in {1_009, None}
        until(lambda: open_sockets(server) == 1, "the end of the socket")
        other.until_message(post(server)["id"])


def test_p8_a_client_may_ping(server: Server) -> None:
    with Feed(server) as feed:
        feed.missed()
        assert feed.socket.ping().wait(DEADLINE_SECONDS)
        feed.until_message(post(server)["id"])


@pytest.mark.every_deployment
def test_p8_a_page_whose_scripts_cannot_see_pings_may_send_one_as_text(server: Server) -> None:
    """Some servers send no heartbeats, so that they can sleep; the answer is how a page knows that its socket is alive."""
    with Feed(server) as feed:
        feed.missed()
        for _ in range(3):
            feed.socket.send("ping")
            assert feed.socket.recv(DEADLINE_SECONDS) == "pong"
        feed.until_message(post(server)["id"])


@contextmanager
def slow_client(server: Server) -> Iterator[socket.socket]:
    """A socket that has shaken hands and holds little; it reads what the test reads."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.settimeout(DEADLINE_SECONDS)
    url = server.http.base_url
    with client:
        client.connect((url.host, url.port))
        headers = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items())
        client.sendall(f"GET /api/ws HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n{headers}\r\n".encode())
        yield client


def first_frame(client: socket.socket) -> Json:
    """What it gets behind its handshake, if it is less than 64 KiB."""
    stream = client.makefile("rb")
    while stream.readline() != b"\r\n":
        pass
    _, length = stream.read(2)
    if length == 126:  # the length is in the next two bytes
        (length,) = struct.unpack("!H", stream.read(2))
    frame: Json = json.loads(stream.read(length))
    return frame


def post_until_closed(server: Server, sockets: int) -> None:
    """Post long messages until this number of sockets was closed for being too slow."""
    with ThreadPoolExecutor(8) as threads:

        def closed() -> bool:
            list(threads.map(lambda _: post(server, LONG_TEXT), range(100)))
            return metric(server, "sww_live_too_slow_total") >= sockets

        until(closed, "the end of the sockets", every=0)


@pytest.mark.needs("own connections")
def test_p6_clients_that_never_read_are_closed_and_cost_nobody_a_message(start_server: StartServer) -> None:
    server = start_server(rate_limit=0)
    with ReconnectingReader(server.url, 0) as other, ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(slow_client(server))
        until(lambda: open_sockets(server) >= 10, "all sockets")
        post_until_closed(server, 10)
        messages = read(server)
        other.until_token(token_of(server))
        assert by_change(list(other.view.messages.values())) == by_change(messages)


@pytest.mark.needs("memory")
@pytest.mark.every_deployment
@pytest.mark.needs("own connections")
def test_p6_a_client_closed_for_being_too_slow_catches_up_with_its_token(start_server: StartServer) -> None:
    server = start_server(rate_limit=0)
    post(server)
    with slow_client(server) as client:
        token = Token(first_frame(client)["seq"])
        post_until_closed(server, 1)
    with Feed(server, token) as feed:
        missed, now = feed.missed(), token_of(server)
        assert missed == by_change([message for message in read(server) if now.adds(message["seq"], token)])


def test_p6_a_client_that_keeps_up_is_not_closed_for_a_large_commit(start_server: StartServer) -> None:
    """A hundred messages of the longest text, claimed in one step by the longest name."""
    server = start_server()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: post(server, LONG_TEXT), range(100)))
    with Feed(server) as feed:
        feed.missed()
        claimed = claim_next(server, '"' * 128, limit=100)
        feed.until_message(claimed[-1]["id"], status="processing")
        assert by_change(list(feed.view.messages.values())) == by_change(claimed)
