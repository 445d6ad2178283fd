"""What reaches the socket: too much of it, or something else than HTTP (P8)."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from calls import assert_problem, post, read, said

from conftest import StartServer
from servers import Server, until

POST = b"POST /api/comments HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def connect(server: Server) -> socket.socket:
    url = server.http.base_url
    return socket.create_connection((url.host, url.port or 0), timeout=20)


def heard(client: socket.socket) -> httpx.Response:
    """All that the server says until it hangs up."""
    answer = bytearray()
    while chunk := client.recv(65_536):
        answer += chunk
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    pairs = [(name, value.strip()) for name, _, value in (header.partition(b":") for header in headers)]
    return httpx.Response(int(status.split()[1]), headers=pairs, content=body)


def spoken(server: Server, *pieces: bytes) -> httpx.Response:
    """The answer to raw bytes."""
    with connect(server) as client:
        for piece in pieces:
            client.sendall(piece)
        return heard(client)


@pytest.fixture(autouse=True)
def goes_on(server: Server) -> Iterator[None]:
    """Whatever was sent, the wall is as it was and takes the next post."""
    before = read(server)
    yield
    assert read(server)[-len(before) :] == before if before else True
    assert post(server)["status"] == "success"


@pytest.mark.parametrize(
    "bytes_sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"Why is space black?\r\n\r\n", id="plain talk"),
        pytest.param(b"\0" * 100, id="zeros"),
        pytest.param(b"GET /api/comments SPDY/3\r\n\r\n", id="another protocol"),
        pytest.param(POST + b"Content-Length: many\r\n\r\n", id="a length that is no number"),
        pytest.param(POST + b"Content-Length: -5\r\n\r\n", id="a negative length"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\nnot a chunk\r\n", id="a broken chunk"),
    ],
)
def test_p8_what_is_not_http_gets_a_400_and_the_connection_ends(server: Server, bytes_sent: bytes) -> None:
    assert_problem(spoken(server, bytes_sent), 400)


@pytest.mark.parametrize("header", [b"X-Long: " + b"x" * 66_000, b"X-Many: x\r\n" * 6_000], ids=["one header", "many headers"])
def test_p8_a_header_over_the_limit_is_refused(server: Server, header: bytes) -> None:
    assert_problem(spoken(server, POST, header), 431, "65536 bytes")


def test_p8_a_body_over_the_limit_is_refused_before_it_is_all_there(server: Server) -> None:
    body = {"text": "x" * 200_000, "username": "Human", "color": "169080199"}
    assert_problem(server.http.post("/api/comments", json=body), 413, "64096 bytes")
    with connect(server) as client:
        client.sendall(POST + b"Content-Length: 1000000000\r\n\r\n" + b"x" * 100_000)
        assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_p8_a_chunked_body_over_the_limit_is_refused_too(server: Server) -> None:
    assert_problem(server.http.post("/api/comments", content=(b"x" * 10_000 for _ in range(20))), 413, "64096 bytes")


def test_p8_a_client_that_leaves_in_the_middle_of_its_body_posts_nothing(start_server: StartServer) -> None:
    server = start_server()
    body = b'{"text": "Why?", "username": "Human", "color": "169080199"}'
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
            assert_problem(heard(one_too_many), 503, "3 connections")
        assert len(read(server)) == 1


def test_p8_a_client_that_asks_first_whether_to_send_its_body_is_told_to_go_on(server: Server) -> None:
    """``Expect: 100-continue``, which curl says before a larger body."""
    body = b'{"text": "Why?", "username": "Human", "color": "169080199"}'
    with connect(server) as client:
        client.sendall(POST + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert client.recv(65_536).startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        assert heard(client).status_code == 200


def test_p8_a_probe_may_ask_for_the_head_alone(server: Server) -> None:
    answer = server.http.head("/healthz")
    assert (answer.status_code, answer.content) == (200, b"")
