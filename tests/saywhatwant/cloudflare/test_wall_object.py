"""Requests to the wall in one object: the interface of every other place, through the bridge."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from fake_platform import TOKEN, Platform, decoded

from saywhatwant.cloudflare.bridge import Answer
from scenario import run, turns


def test_a_message_is_posted_claimed_answered_and_read() -> None:
    async def scenario() -> None:
        platform = Platform()
        posted = await platform.post("Why is space black?", botParams={"entity": "zen"})
        (claimed,) = (await platform.bot("claim", workerId="bot", entities=["zen"], limit=1))["messages"]
        assert claimed["id"] == posted["id"]
        await platform.sleep()
        done = {"messageId": posted["id"], "workerId": "bot", "attempt": 1, "reply": {"text": "It is tired."}}
        await platform.bot("complete", **done)
        wall = decoded(await platform.call("GET", "/api/comments"))
        assert [message["text"] for message in wall] == ["It is tired.", "Why is space black?"]

    run(scenario())


def test_p4_a_claim_that_waits_gets_a_message_as_soon_as_it_is_posted() -> None:
    async def scenario() -> None:
        platform = Platform()
        waiting = asyncio.create_task(platform.bot("claim", workerId="bot", entities=["zen"], limit=1, wait=30))
        await turns()
        assert not waiting.done()
        posted = await platform.post("Are you there?", botParams={"entity": "zen"})
        (claimed,) = (await waiting)["messages"]
        assert claimed["id"] == posted["id"]

    run(scenario())


def test_p4_a_bot_that_has_gone_gets_no_message() -> None:
    async def scenario() -> None:
        platform = Platform()
        claim = {"workerId": "bot", "entities": ["zen"], "limit": 1, "wait": 30}
        request = platform.request("POST", "/api/queue/claim", claim, authorization=f"Bearer {TOKEN}")
        waiting = asyncio.create_task(platform.wall.fetch(request))
        await turns()
        request.client_leaves.set()
        await waiting
        await turns()
        await platform.post("Are you there?", botParams={"entity": "zen"})
        (message,) = decoded(await platform.call("GET", "/api/comments"))
        assert message["botParams"]["status"] == "pending"

    run(scenario())


def test_p8_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    async def scenario() -> None:
        platform = Platform(max_context_bytes=0, max_text=100)
        request = platform.request("POST", "/api/comments", [b"x" * 1_000] * 1_000)
        answer = await platform.wall.fetch(request)
        assert answer is not None
        assert answer.status == 413
        assert request.pieces_read < 10

    run(scenario())


def test_a_body_in_pieces_is_one_body() -> None:
    async def scenario() -> None:
        platform = Platform()
        body = json.dumps({"text": "in pieces", "username": "Human", "color": "169080199"}).encode()
        answer = await platform.call("POST", "/api/comments", [body[:10], b"", body[10:]])
        assert decoded(answer)["status"] == "success"

    run(scenario())


def test_p8_a_body_that_does_not_come_is_refused() -> None:
    def broken() -> Iterator[bytes]:
        yield b'{"text":'
        raise ConnectionError("a broken chunk")

    async def scenario() -> None:
        platform = Platform()
        answer = await platform.wall.fetch(platform.request("POST", "/api/comments", broken()))
        assert answer is not None
        assert (answer.status, json.loads(answer.body)["type"]) == (400, "urn:saywhatwant:problem:malformed-body")

    run(scenario())


def test_p8_a_client_is_its_address_as_the_platform_tells_it() -> None:
    async def scenario() -> None:
        platform = Platform(rate_limit=1)
        post = {"text": "hello", "username": "Human", "color": "169080199"}
        first = await platform.call("POST", "/api/comments", post)
        again = await platform.call("POST", "/api/comments", post, x_forwarded_for="198.51.100.7")
        other = await platform.call("POST", "/api/comments", post, address="192.0.2.2")
        assert [first.status, again.status, other.status] == [200, 429, 200]
        assert dict(again.headers)[b"retry-after"].isdigit()

    run(scenario())


def test_an_etag_is_known_again_and_its_answer_has_no_body() -> None:
    async def scenario() -> None:
        platform = Platform()
        await platform.post("hello")
        headers = dict((await platform.call("GET", "/api/comments")).headers)
        again = await platform.call("GET", "/api/comments", if_none_match=headers[b"etag"].decode())
        assert (again.status, again.body) == (304, b"")
        head = await platform.call("HEAD", "/api/comments")
        assert (head.status, head.body, dict(head.headers)[b"content-length"]) == (200, b"", headers[b"content-length"])

    run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/ws", 426),
        ("GET", "/nothing", 404),
        ("GET", "/%E2%82%AC?x=%zz", 404),
        ("DELETE", "/api/comments", 405),
        ("GET", "/api/comments?sinse=1", 422),
        ("POST", "/api/queue/claim", 401),
        ("GET", "/metrics", 401),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/api/stats", 200),
        ("GET", "/api/entities", 200),
        ("GET", "/api/openapi.json", 200),
        ("GET", "/api/docs", 200),
        ("GET", "/", 200),
        ("GET", "/embed", 200),
        ("GET", "/original/api/comments", 200),
    ],
)
def test_every_part_of_the_interface_is_there(method: str, path: str, status: int) -> None:
    async def scenario() -> None:
        answer = await Platform().call(method, path)
        assert answer.status == status
        if status >= 400:
            assert dict(answer.headers)[b"content-type"] == b"application/problem+json"

    run(scenario())


def test_p8_a_handshake_of_what_is_no_socket_is_refused() -> None:
    async def scenario() -> None:
        platform = Platform()
        answer = await platform.call("GET", "/api/nothing", upgrade="websocket")
        assert answer.status == 404
        assert platform.sockets == []

    run(scenario())


def test_figures_are_counted_in_the_object() -> None:
    async def scenario() -> None:
        platform = Platform()
        await platform.reader()
        await platform.post("hello")
        figures = (await platform.call("GET", "/metrics", authorization=f"Bearer {TOKEN}")).body.decode()
        assert "sww_live_readers 1.0" in figures
        assert 'sww_websocket_handshakes_total{status="101"} 1.0' in figures
        assert platform.runtime.meter.requests == 3

    run(scenario())


def test_pages_of_other_sites_get_what_the_settings_allow() -> None:
    async def scenario() -> None:
        site = "https://example.org"
        platform = Platform(cors_origins=[site])
        answer = await platform.call("GET", "/api/comments", origin=site)
        assert dict(answer.headers)[b"access-control-allow-origin"] == site.encode()
        preflight = await platform.call("OPTIONS", "/api/comments", origin=site, access_control_request_method="POST")
        assert preflight.status == 200
        other = await platform.call("GET", "/original/api/comments", origin="https://elsewhere.example")
        assert dict(other.headers)[b"access-control-allow-origin"] == b"*"

    run(scenario())


def test_calls_that_come_together_load_the_wall_once() -> None:
    async def scenario() -> None:
        platform = Platform()
        answers = await asyncio.gather(*(platform.call("GET", "/api/comments") for _ in range(5)), platform.wall.alarm())
        assert [answer.status for answer in answers if isinstance(answer, Answer)] == [200] * 5
        assert platform.runtime.entered == 1

    run(scenario())
