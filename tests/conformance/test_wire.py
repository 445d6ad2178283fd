"""What reaches the socket: too much of it, too slowly, or something that is not HTTP (P8)."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from calls import a_post, assert_problem, metric, post, read, said

from conftest import StartServer
from servers import DEADLINE_SECONDS, Server, until

pytestmark = [
    pytest.mark.one_deployment("what is no request is refused before any object is asked"),
    pytest.mark.needs("own connections"),
]

POST = b"POST /api/comments HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LAST_POST = POST + b"Connection: close\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
MEGABYTE = 1_000_000
TOKEN = "token-of-thirty-two-characters-00"  # noqa: S105 - a test's own


def connect(server: Server) -> socket.socket:
    url = server.http.base_url
    return socket.create_connection((url.host, url.port or 0), timeout=DEADLINE_SECONDS)


def received(client: socket.socket) -> httpx.Response:
    """The response; the server must close after it."""
    data = bytearray()
    while chunk := client.recv(65_536):
        data += chunk
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    pairs = [(name, value.strip()) for name, _, value in (header.partition(b":") for header in headers)]
    return httpx.Response(int(status.split()[1]), headers=pairs, content=body)


def send(server: Server, *pieces: bytes) -> httpx.Response:
    """Send raw bytes, all of them, and only then read the response."""
    with connect(server) as client:
        for piece in pieces:
            client.sendall(piece)
        return received(client)


@pytest.fixture(autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    """Whatever was sent, the messages are as they were and the server takes the next post."""
    before = read(server)
    yield
    assert read(server)[-len(before) :] == before if before else True
    assert post(server)["status"] == "success"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"Why is space black?\r\n\r\n", id="plain text"),
        pytest.param(b"\0" * 100, id="zeros"),
        pytest.param(b"GET /api/comments SPDY/3\r\n\r\n", id="another protocol"),
        pytest.param(POST + b"Content-Length: many\r\n\r\n", id="a length that is no number"),
        pytest.param(POST + b"Content-Length: -5\r\n\r\n", id="a negative length"),
        pytest.param(POST + CHUNKED + b"not a chunk\r\n", id="a broken chunk"),
    ],
)
def test_p8_what_is_not_http_gets_a_400_and_the_connection_ends(server: Server, sent: bytes) -> None:
    before = metric(server, "sww_http_refused_total", status="400")
    assert_problem(send(server, sent), 400)
    assert metric(server, "sww_http_refused_total", status="400") == before + 1


@pytest.mark.parametrize("ending", [b"", b"\r\nContent-Length: 0\r\n\r\n"], ids=["incomplete", "complete"])
@pytest.mark.parametrize("header", [b"X-Long: " + b"x" * 66_000, b"X-Many: x\r\n" * 6_000], ids=["one header", "many headers"])
def test_p8_headers_over_the_limit_are_refused(server: Server, header: bytes, ending: bytes) -> None:
    assert_problem(send(server, POST + header + ending), 431, "65536 bytes")


def test_p8_a_long_request_target_is_refused(server: Server) -> None:
    assert_problem(send(server, b"GET /" + b"x" * 66_000 + b" HTTP/1.1\r\n\r\n"), 431, "65536 bytes")


def test_p8_a_body_over_the_limit_is_refused_before_it_is_complete(server: Server) -> None:
    assert_problem(server.http.post("/api/comments", json=a_post("x" * 500_000)), 413, "bytes")
    with connect(server) as client:
        client.sendall(POST + b"Content-Length: 1000000000\r\n\r\n" + b"x" * 500_000)
        assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_p8_a_chunked_body_over_the_limit_is_refused_too(server: Server) -> None:
    assert_problem(server.http.post("/api/comments", content=(b"x" * 10_000 for _ in range(50))), 413, "bytes")


# -- A refusal reaches a client that sends its whole body before it reads


def request_with_body(method: bytes, path: bytes, size: int, headers: bytes = b"") -> bytes:
    head = b"%b %b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%bContent-Length: %d\r\n\r\n"
    return head % (method, path, headers, size) + b"x" * size


def test_p8_the_refusal_of_a_body_of_20_mb_reaches_its_client_every_time(server: Server) -> None:
    sent = request_with_body(b"POST", b"/api/comments", 20 * MEGABYTE)
    for _ in range(15):
        assert_problem(send(server, sent), 413)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [(b"POST", b"/nowhere", 404), (b"PUT", b"/api/comments", 405), (b"POST", b"/api/queue/claim", 401)],
)
def test_p8_a_refusal_made_without_the_body_reaches_its_client(
    start_server: StartServer, method: bytes, path: bytes, status: int
) -> None:
    server = start_server(bot_token=TOKEN)
    for _ in range(5):
        assert_problem(send(server, request_with_body(method, path, 4 * MEGABYTE)), status)


def test_p8_a_refusal_for_posting_too_often_reaches_its_client(start_server: StartServer) -> None:
    server = start_server(rate_limit=1)
    post(server)
    body = json.dumps(a_post()).encode().ljust(60_000)
    sent = LAST_POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for _ in range(5):
        assert_problem(send(server, sent), 429)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(POST + b"X-Long: " + b"x" * 4 * MEGABYTE, 431, id="a header"),
        pytest.param(b"Why is space black?\r\n\r\n" + b"x" * 4 * MEGABYTE, 400, id="not HTTP"),
        pytest.param(POST + CHUNKED + b"not a chunk\r\n" + b"x" * 4 * MEGABYTE, 400, id="a broken chunk"),
    ],
)
def test_p8_a_refusal_made_by_the_connection_reaches_its_client(server: Server, sent: bytes, status: int) -> None:
    for _ in range(5):
        assert_problem(send(server, sent), status)


# -- Trailers


def test_p8_trailers_over_the_limit_are_refused(server: Server) -> None:
    """Unbounded, 20 MB of them took the server's memory from 59 MB to 1.3 GB."""
    before = metric(server, "sww_http_refused_total", status="431")
    assert_problem(send(server, POST + CHUNKED + b"0\r\n", b"a: b\r\n" * 3_500_000), 431, "trailers")
    assert metric(server, "sww_http_refused_total", status="431") == before + 1


@pytest.mark.parametrize("trailer", [b"Origin: https://example.org", b"Idempotency-Key: one", b"If-None-Match: *"])
def test_p8_a_trailer_is_never_taken_for_a_header(server: Server, trailer: bytes) -> None:
    body = json.dumps(a_post()).encode()
    sent = LAST_POST + CHUNKED + b"%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (len(body), body, trailer)
    ids = [said(send(server, sent))["id"] for _ in range(2)]
    assert ids[0] != ids[1]


# -- Connections


def test_p8_a_client_that_leaves_in_the_middle_of_its_body_posts_nothing(start_server: StartServer) -> None:
    server = start_server()
    body = json.dumps(a_post()).encode()
    with connect(server) as client:
        client.sendall(POST + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body)
        until(lambda: said(server.http.get("/healthz")), "an answer to somebody else")
    assert read(server) == []


def test_p8_connections_over_the_limit_are_refused_and_those_within_it_served(start_server: StartServer) -> None:
    server = start_server(max_connections=3)
    post(server)  # its connection stays open
    with ExitStack() as open_connections:
        for _ in range(2):
            open_connections.enter_context(connect(server))
        with connect(server) as one_too_many:
            one_too_many.sendall(request_with_body(b"POST", b"/api/comments", 50_000))
            assert_problem(received(one_too_many), 503, "3 connections")
        assert len(read(server)) == 1
        assert metric(server, "sww_http_refused_total", status="503") == 1


def test_p8_connections_of_one_address_are_bounded(start_server: StartServer) -> None:
    server = start_server(connections_per_address=2)
    post(server)
    with connect(server), connect(server) as one_too_many:
        assert_problem(received(one_too_many), 503, "2 connections of 127.0.0.1")
    until(lambda: send(server, b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").status_code == 200, "room again")


def test_p8_connections_of_a_trusted_proxy_are_not_bounded(start_server: StartServer) -> None:
    server = start_server(connections_per_address=1, trusted_proxies="127.0.0.0/8")
    post(server)
    with connect(server):
        assert send(server, b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").status_code == 200


def test_p8_a_client_that_expects_100_continue_gets_it(server: Server) -> None:
    """curl does before it sends a larger body."""
    body = json.dumps(a_post()).encode()
    with connect(server) as client:
        client.sendall(LAST_POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert client.recv(65_536).startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        assert received(client).status_code == 200


def test_p8_a_probe_may_ask_for_the_head_alone(server: Server) -> None:
    answer = server.http.head("/healthz")
    assert (answer.status_code, answer.content) == (200, b"")
