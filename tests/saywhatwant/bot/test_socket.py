"""A bot on a WebSocket: it answers through it, survives its end, and does without (P3, P4)."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
from bot_harness import CLAIM, COMPLETE, FAIL, FakeModel, Harness, SlowModel, stop
from sockets import InProcess, Sockets

from saywhatwant import frames
from saywhatwant.bot import trust
from saywhatwant.bot.connection import SocketEnded
from saywhatwant.bot.line import Line
from saywhatwant.bot.socket import Socket
from saywhatwant.client import ServerUnavailable
from saywhatwant.entities import Entity
from saywhatwant.models import Model, ModelFailed, Piece, Request
from saywhatwant.schemas import FailRequest
from scenario import turns
from servers import DEADLINE_SECONDS

pytestmark = pytest.mark.usefixtures("no_settings")

Scenario = Callable[[Harness, Sockets], Awaitable[None]]


def run(scenario: Scenario, model: Model | None = None, *, before: Callable[[Sockets], None] = lambda _: None) -> None:
    """Run ``scenario`` next to a bot that has sockets."""

    async def bounded() -> None:
        harness = Harness(model=model or FakeModel(), has_sockets=True)
        sockets = harness.sockets
        assert sockets is not None
        before(sockets)
        bot = asyncio.create_task(harness.bot.run())
        test = asyncio.ensure_future(scenario(harness, sockets))
        try:
            await asyncio.wait({bot, test}, timeout=DEADLINE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            assert test.done() or not bot.done(), f"the bot ended: {bot.exception()!r}"
            assert test.done(), "it hangs"
            test.result()
        finally:
            for task in (bot, test):
                task.cancel()
            await asyncio.gather(bot, test, return_exceptions=True)
            await harness.aclose()

    asyncio.run(bounded())


def frames_of(texts: list[str], kind: str) -> list[dict[str, object]]:
    frames = [json.loads(line) for text in texts for line in text.split("\n")]
    return [frame for frame in frames if frame["type"] == kind]


def test_it_answers_through_the_socket_alone() -> None:
    async def scenario(harness: Harness, sockets: Sockets) -> None:
        socket = await sockets.until_open()
        for number in (1, 2):
            message_id = await harness.post()
            await harness.until_complete(message_id)
            assert len(await harness.replies(message_id)) == 1
            assert len(frames_of(socket.sent, "complete")) == number
        assert harness.proxy.calls == []

    run(scenario)


def test_it_says_which_entities_it_has_hands_for() -> None:
    async def scenario(_: Harness, sockets: Sockets) -> None:
        (hello,) = frames_of((await sockets.until_open()).sent, "hello")
        assert (hello["workerId"], hello["hands"], hello["entities"]) == ("bot", 1, {"zen": 1})

    run(scenario)


@pytest.mark.parametrize("status", [404, 426, 400, 502])
def test_it_polls_where_there_are_no_sockets(status: int) -> None:
    """An old server, or a proxy without them."""

    async def scenario(harness: Harness, sockets: Sockets) -> None:
        await harness.until_called(CLAIM)
        await harness.until_complete(await harness.post())
        assert (sockets.handshakes, sockets.opened, harness.count(COMPLETE)) == (1, [], 1)

    run(scenario, before=lambda sockets: sockets.refusals.append(status))


def test_it_polls_while_a_socket_cannot_be_opened_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "RETRY_SECONDS", 0.05)

    async def scenario(harness: Harness, sockets: Sockets) -> None:
        await harness.until_called(CLAIM)
        await harness.until_complete(await harness.post())
        socket = await sockets.until_open()
        message_id = await harness.post()
        await harness.until_complete(message_id)
        assert len(frames_of(socket.sent, "complete")) == 1

    run(scenario, before=lambda sockets: sockets.refusals.extend([0, 0]))


def test_it_polls_behind_a_proxy_that_cuts_sockets() -> None:
    async def scenario(harness: Harness, sockets: Sockets) -> None:
        for number in range(1, trust.MANY_CUTS + 1):
            (await sockets.until_open(number)).cut()
        await harness.until_called(CLAIM)
        await harness.until_complete(await harness.post())
        assert len(sockets.opened) == trust.MANY_CUTS

    run(scenario)


def test_p4_a_socket_that_ends_right_after_its_welcome_is_followed_by_another_one() -> None:
    """Its end is known before the bot goes on after the welcome."""

    async def scenario(harness: Harness, sockets: Sockets) -> None:
        await sockets.until_open(2)
        await harness.until_complete(await harness.post())
        assert [socket.is_cut for socket in sockets.opened] == [True, False]

    def before(sockets: Sockets) -> None:
        sockets.brief = 1

    run(scenario, before=before)


def test_p4_a_socket_that_is_cut_while_it_answers_costs_no_word_of_the_answer() -> None:
    """The wall has given the message back; this bot gets it again, and sends what it has written in the new attempt."""
    model = SlowModel()

    async def scenario(harness: Harness, sockets: Sockets) -> None:
        first = await sockets.until_open()
        message_id = await harness.post()
        await model.asked.wait()
        model.asked.clear()
        first.cut()
        await sockets.until_open(2)
        model.done.set()
        message = await harness.until_complete(message_id)
        assert (message.bot_params.attempt, message.bot_params.tries) == (2, 1)
        assert len(await harness.replies(message_id)) == 1
        assert not model.asked.is_set(), "the model was asked once"

    run(scenario, model)


def test_p4_an_answer_whose_socket_is_cut_under_it_is_sent_once_more() -> None:
    """Whether the wall has taken it or not."""

    def cut_at_answer(socket: InProcess, *, is_taken: bool) -> None:
        as_it_is = socket.send

        async def send(text: str) -> None:
            if '"complete"' not in text:
                await as_it_is(text)
                return
            if is_taken:
                await as_it_is(text)
                await asyncio.sleep(0)
            socket.cut()

        socket.send = send  # type: ignore[method-assign]

    async def scenario(harness: Harness, sockets: Sockets) -> None:
        for number, is_taken in ((1, True), (2, False)):
            cut_at_answer(await sockets.until_open(number), is_taken=is_taken)
            message_id = await harness.post()
            await harness.until_complete(message_id)
            assert len(await harness.replies(message_id)) == 1
            await sockets.until_open(number + 1)
        assert harness.count(FAIL) == 0

    run(scenario)


class FailsOnce(FakeModel):
    """Fails, and answers when it is asked again."""

    def __init__(self) -> None:
        super().__init__()
        self._has_failed = False

    async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
        if not self._has_failed:
            self._has_failed = True
            raise ModelFailed("no words")
        async for piece in super().stream(entity, request):
            yield piece


def test_p4_a_message_that_comes_again_before_its_failure_is_acknowledged_is_answered() -> None:
    async def scenario(harness: Harness, sockets: Sockets) -> None:
        socket = await sockets.until_open()
        socket.is_late = lambda text: '"type":"ok"' in text
        message_id = await harness.post()
        await harness.until(message_id, lambda params: params.retry_at is not None)
        harness.runtime.advance(2)
        await harness.until(message_id, lambda params: params.attempt == 2)
        while not any('"attempt":2' in text for text in socket.received):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)
        await turns()
        assert len(frames_of(socket.sent, "fail")) == 1
        socket.is_late = lambda _: False
        socket.deliver()
        await harness.until_complete(message_id)
        assert len(await harness.replies(message_id)) == 1
        assert len(frames_of(socket.sent, "fail")) == 1

    run(scenario, FailsOnce())


def test_p3_it_stops_answering_what_another_bot_has_got_meanwhile() -> None:
    model = SlowModel()

    async def scenario(harness: Harness, sockets: Sockets) -> None:
        first = await sockets.until_open()
        message_id = await harness.post()
        await model.asked.wait()
        sockets.refusals += [0]
        first.cut()
        await harness.until(message_id, lambda params: params.status == "pending")
        (taken,) = await harness.claim("other")
        await sockets.until_open()
        request = FailRequest(message_id=message_id, worker_id="other", attempt=2, error="no words", retry=False)
        model.done.set()
        await asyncio.sleep(0.05)
        assert (taken.id, await harness.replies(message_id)) == (message_id, [])
        await harness.direct.fail(request)

    run(scenario, model)


async def not_yet(_: str, *, give_back: bool) -> None:
    """The server does not know yet that the socket has ended."""
    assert give_back


def test_p4_it_goes_on_by_http_while_no_socket_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SlowModel()

    async def scenario(harness: Harness, sockets: Sockets) -> None:
        await sockets.until_open()
        message_id = await harness.post()
        await model.asked.wait()
        monkeypatch.setattr(harness.worker.desk, "leave", not_yet)
        sockets.refusals += [404]
        sockets.last.cut()
        await sockets.until_tried(2)
        model.done.set()
        message = await harness.until_complete(message_id)
        assert (message.bot_params.attempt, harness.count(COMPLETE)) == (1, 1)

    run(scenario, model)


class EndedConnection:
    """One that nothing can be sent through any more, though its end was not read yet."""

    async def send(self, _: str) -> None:
        raise SocketEnded("it was cut")

    async def receive(self) -> str | None:
        await asyncio.sleep(0)
        return None

    async def close(self) -> None:
        """Nothing."""


def test_the_end_of_a_socket_is_known_when_a_call_has_failed_for_it() -> None:
    """Else who tries again at once would try the same socket for ever, in one turn of the event loop."""

    async def failed() -> list[str]:
        ends: list[str] = []

        def nothing(_: object) -> None:
            pass

        socket = Socket(
            EndedConnection(),
            on_given=nothing,
            on_lost=nothing,
            on_conflicts=nothing,
            on_end=lambda: ends.append("end"),
        )
        with pytest.raises(SocketEnded, match="it was cut"):
            await socket.call(frames.HandsFrame(hands=1, entities={"zen": 1}))
        assert socket.has_ended
        return ends

    assert asyncio.run(failed()) == ["end"]


def test_a_lost_lease_ends_the_answer_at_once() -> None:
    model = SlowModel()

    async def scenario(harness: Harness, sockets: Sockets) -> None:
        await sockets.until_open()
        message_id = await harness.post()
        await model.asked.wait()
        model.asked.clear()
        harness.runtime.advance(3_600)
        await model.asked.wait()  # it was handed over again
        model.done.set()
        message = await harness.until_complete(message_id)
        assert message.bot_params.attempt == 2
        assert len(await harness.replies(message_id)) == 1

    run(scenario, model)


def test_p4_a_bot_that_is_stopped_gives_back_what_it_holds_and_its_attempt() -> None:
    model = SlowModel()

    async def bounded() -> None:
        harness = Harness(model=model, has_sockets=True)
        assert harness.sockets is not None
        bot = asyncio.create_task(harness.bot.run())
        await harness.sockets.until_open()
        message_id = await harness.post()
        await model.asked.wait()
        await stop(bot)
        params = (await harness.message(message_id)).bot_params
        assert (params.status, params.attempt, params.tries) == ("pending", 1, 0)
        assert (await harness.direct.bots())[0].here is False
        await harness.aclose()

    asyncio.run(asyncio.wait_for(bounded(), DEADLINE_SECONDS))


class Unwilling:
    """A server's end that welcomes a bot, and is unavailable for all else."""

    def __init__(self) -> None:
        self.is_closed = False
        self._to_bot: asyncio.Queue[str | None] = asyncio.Queue()

    async def send(self, text: str) -> None:
        frame = json.loads(text)
        unavailable = {"type": "problem", "problem": {"status": 503, "detail": "no disk"}}
        welcome = {"type": "welcome", "socket": "0123456789abcdef", "held": []}
        answer = welcome if frame["type"] == "hello" else unavailable
        self._to_bot.put_nowait(json.dumps(answer | {"id": frame["id"]}))

    async def receive(self) -> str | None:
        return await self._to_bot.get()

    async def close(self) -> None:
        self.is_closed = True
        self._to_bot.put_nowait(None)


def test_a_bot_that_opens_another_socket_does_not_stand_at_the_old_one_too() -> None:
    """As when it could not say that it has other hands."""

    async def scenario() -> None:
        ends: list[Unwilling] = []

        async def connect(url: str, headers: Mapping[str, str]) -> Unwilling:
            del url, headers
            ends.append(Unwilling())
            return ends[-1]

        line = Line("ws://wall", {}, "bot", connect, lambda _: None)
        await line.open(frames.HandsFrame(hands=1))
        with pytest.raises(ServerUnavailable):
            await line.set_hands(frames.HandsFrame(hands=2))
        await line.open(frames.HandsFrame(hands=2))
        assert [end.is_closed for end in ends] == [True, False]
        assert line.is_open
        await line.close()

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE_SECONDS))
