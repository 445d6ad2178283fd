"""Bodies on their way: a few large ones may not fill the memory, and small ones are not affected."""

import asyncio

import pytest
from starlette.types import Message

from saywhatwant.errors import BodyTooLarge, MalformedBody, TooManyLargeBodies
from saywhatwant.schemas import RetryRequest
from saywhatwant.worker.decoders import Body
from saywhatwant.worker.request import Request
from scenario import run, turns

LARGE = b" " * 100


class Sender:
    """A client that sends its body piece by piece."""

    def __init__(self, *pieces: bytes, client: str = "192.0.2.1") -> None:
        self.pieces: asyncio.Queue[Message] = asyncio.Queue()
        for piece in pieces:
            self.send(piece)
        self.request = Request({"type": "http", "headers": [], "client": (client, 1)}, self.pieces.get)

    def send(self, piece: bytes, *, more: bool = True) -> None:
        self.pieces.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    def end(self) -> None:
        self.send(b'{"messageId":"abcdefghij"}', more=False)

    def leave(self) -> None:
        self.pieces.put_nowait({"type": "http.disconnect"})


def test_large_bodies_on_their_way_are_bounded_and_small_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.worker.decoders.LARGE_BODY_BYTES", 50)
    monkeypatch.setattr("saywhatwant.worker.decoders.MAX_LARGE_BODIES", 2)
    body = Body(RetryRequest)

    async def scenario() -> None:
        first, second, small = Sender(LARGE), Sender(LARGE, client="192.0.2.2"), Sender(b" ")
        reads = [asyncio.create_task(body.read(sender.request, 1_000)) for sender in (first, second, small)]
        await turns()
        with pytest.raises(TooManyLargeBodies, match="bodies over 50 bytes"):
            await body.read(Sender(LARGE).request, 1_000)
        small.end()
        assert (await reads[2]).message_id == "abcdefghij"
        first.end()
        assert (await reads[0]).message_id == "abcdefghij"
        second.leave()
        with pytest.raises(MalformedBody, match="disconnected"):
            await reads[1]
        for _ in range(3):
            with pytest.raises(BodyTooLarge):
                await body.read(Sender(LARGE, LARGE).request, 150)
        last = Sender(LARGE)
        last.end()
        assert (await body.read(last.request, 1_000)).message_id == "abcdefghij"

    run(scenario())


def test_p6_one_client_cannot_take_the_places_of_all_large_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends the first part of many long contexts, and never the rest."""
    monkeypatch.setattr("saywhatwant.worker.decoders.LARGE_BODY_BYTES", 50)
    monkeypatch.setattr("saywhatwant.worker.decoders.MAX_LARGE_BODIES", 8)
    body = Body(RetryRequest)

    async def scenario() -> None:
        stalled = [asyncio.create_task(body.read(Sender(LARGE).request, 1_000)) for _ in range(20)]
        await turns()
        assert sum(read.done() for read in stalled) == 16
        other = Sender(LARGE, client="192.0.2.2")
        other.end()
        assert (await body.read(other.request, 1_000)).message_id == "abcdefghij"
        for read in stalled:
            read.cancel()
        results = await asyncio.gather(*stalled, return_exceptions=True)
        assert {type(result) for result in results} == {TooManyLargeBodies, asyncio.CancelledError}

    run(scenario())
