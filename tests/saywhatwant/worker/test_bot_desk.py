"""Sessions of bots and the wall's events, which may come late, twice, or never."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable_objects import CommitFailed
from durable_objects.simulated import SimulatedRuntime
from saywhatwant.message import NewMessage, Posted
from saywhatwant.queue import events
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.waiting import Wait
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from saywhatwant.worker.bot_desk import BotDesk
from saywhatwant.worker.bot_session import MAX_STATE_BYTES, BotSession
from saywhatwant.worker.queue_events import QueueEvent
from servers import DEADLINE_SECONDS

pytestmark = pytest.mark.usefixtures("no_settings")

TURNS = 200
"""Far more turns of the event loop than anything here takes."""


class Desk:
    """A desk whose events come when the test says so."""

    def __init__(self) -> None:
        self.runtime = SimulatedRuntime()
        worker = create_worker(self.runtime, load())
        self.desk: BotDesk = worker.desk
        self.wall: Any = worker.waiters._wall
        self.missed: list[QueueEvent] = []
        self._deliver = self.desk.on_event
        worker.events._listeners = (self.missed.append,)
        self.sent: list[dict[str, Any]] = []

    def open(self) -> BotSession:
        return self.desk.open(self._take)

    def _take(self, text: str) -> None:
        self.sent.append(json.loads(text))

    def sent_of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.sent if frame["type"] == kind]

    async def hello(self, session: BotSession, hands: int = 1, **more: object) -> None:
        frame = {"type": "hello", "workerId": "bot", "hands": hands, "entities": {"zen": hands}} | more
        await session.receive(json.dumps(frame))
        assert self.sent_of("welcome")

    async def ask(self) -> str:
        new = NewMessage(text="Why?", username="Ann", color="169080199", entity="zen")
        posted: Posted = await self.wall.post(new)
        return posted.id

    async def deliver(self) -> None:
        """All events so far, and what follows from them."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        late, self.missed[:] = list(self.missed), []
        for event in late:
            self._deliver(event)
        for _ in range(TURNS):
            await asyncio.sleep(0)


def run(scenario: Callable[[Desk], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scenario(Desk()), DEADLINE_SECONDS)

    asyncio.run(bounded())


def works(desk: Desk) -> list[tuple[str, int]]:
    messages = [frame["message"] for frame in desk.sent_of("message")]
    return [(message["id"], message["botParams"]["attempt"]) for message in messages]


@pytest.mark.parametrize("context", [0, 5])
def test_an_event_from_before_a_hand_over_that_comes_after_it_ends_nothing(context: int) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.desk.queue_events.start()
        message_id = await desk.ask()
        await desk.hello(desk.open(), context=context)
        await desk.deliver()
        assert works(desk) == [(message_id, 1)]
        assert desk.sent_of("lost") == []

    run(scenario)


def test_p4_a_hand_over_whose_event_is_lost_is_found_when_the_events_go_on() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.hello(desk.open())
        message_id = await desk.ask()
        await asyncio.sleep(0.01)
        desk.missed.clear()
        assert works(desk) == []
        await desk.desk.renew()
        await desk.deliver()
        assert works(desk) == [(message_id, 1)]

    run(scenario)


def test_a_loss_whose_event_is_lost_is_found_too() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.hello(desk.open())
        message_id = await desk.ask()
        await desk.deliver()
        await desk.wall.fail(message_id, "bot", 1, "by an operator", retry=False)
        desk.missed.clear()
        await desk.desk.renew()
        assert [(frame["messageId"], frame["attempt"]) for frame in desk.sent_of("lost")] == [(message_id, 1)]

    run(scenario)


def test_a_repeated_event_sends_nothing_twice() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.hello(desk.open())
        message_id = await desk.ask()
        await asyncio.sleep(0.01)
        desk.missed *= 2
        await desk.deliver()
        assert works(desk) == [(message_id, 1)]

    run(scenario)


def test_a_bot_that_completes_is_told_of_no_loss_and_gets_the_next_message() -> None:
    async def scenario(desk: Desk) -> None:
        session = desk.open()
        await desk.hello(session)
        first, second = await desk.ask(), await desk.ask()
        await desk.deliver()
        await session.receive(json.dumps({"type": "complete", "id": 1, "messageId": first, "attempt": 1}))
        await desk.deliver()
        assert works(desk) == [(first, 1), (second, 1)]
        assert (len(desk.sent_of("ok")), desk.sent_of("lost"), desk.sent_of("problem")) == (1, [], [])

    run(scenario)


@pytest.mark.parametrize("names", [1, 30, 200])
def test_a_session_that_is_made_again_from_its_state_goes_on(names: int) -> None:
    """As when a server whose sockets outlive its memory has slept; with more entities than the state has room for, too."""
    others = {f"entity-with-a-long-name-{number}": 1 for number in range(names)}
    personas = dict.fromkeys(others, "0123456789abcdef")

    async def scenario(desk: Desk) -> None:
        session = desk.open()
        await desk.hello(session, entities={"zen": 1} | others, personas=personas)
        state = session.state
        assert len(state) <= MAX_STATE_BYTES
        del desk.desk.sessions[session.socket]
        again = desk.desk.restore(state, desk._take)
        await again.renew()
        message_id = await desk.ask()
        await desk.deliver()
        assert works(desk) == [(message_id, 1)]
        await desk.desk.end_others()
        assert desk.sent_of("lost") == []
        assert await desk.wall.standing.sockets() == [again.socket]

    run(scenario)


def test_a_socket_that_ended_while_its_server_slept_is_ended_at_the_object() -> None:
    async def scenario(desk: Desk) -> None:
        session = desk.open()
        await desk.hello(session)
        message_id = await desk.ask()
        del desk.desk.sessions[session.socket]
        await desk.desk.end_others()
        assert await desk.wall.standing.sockets() == []
        (message,) = json.loads(bytes((await desk.wall.read()).body))
        assert message["id"] == message_id
        params = message["botParams"]
        assert params["socket"] == session.socket, "its bot may come back, and say what it has not got"
        assert params["leaseExpiresAt"] - params["claimedAt"] == QueueConfig().lease_ms, "until an ordinary lease ends"

    run(scenario)


def test_a_message_that_was_left_for_a_claim_that_died_goes_to_a_bot_with_a_free_hand() -> None:
    """The object had woken a claim for it, so it stayed pending."""

    async def scenario(desk: Desk) -> None:
        await desk.wall.claim_next("dead", ("zen",), wait=Wait("elsewhere/1/1", 60_000))
        desk.runtime.now_ms += 1
        await desk.hello(desk.open())
        message_id = await desk.ask()
        await desk.deliver()
        assert works(desk) == []
        assert desk.desk._offer(message_id, "zen")
        await desk.deliver()
        await desk.deliver()
        assert works(desk) == [(message_id, 1)]
        assert not desk.desk._offer(message_id, "zen"), "it has no hand free any more"

    run(scenario)


def test_a_server_starts_though_its_objects_cannot_say_who_stood_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sockets() -> list[str]:
        raise CommitFailed("the disk is full")

    async def scenario(desk: Desk) -> None:
        monkeypatch.setattr(desk.wall.standing, "sockets", sockets)
        await desk.desk.begin()

    run(scenario)


def test_p4_a_bot_that_ends_while_the_disk_is_full_gets_nothing_once_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []
    pauses: list[float] = []

    async def scenario(desk: Desk) -> None:
        leave = desk.wall.standing.leave

        async def leave_later(socket: str, *, give_back: bool) -> None:
            tries.append(socket)
            if len(tries) <= 20:
                raise CommitFailed("the disk is full")
            await leave(socket, give_back=give_back)

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            await asyncio.sleep(0)

        monkeypatch.setattr(desk.wall.standing, "leave", leave_later)
        desk.desk.sleep = sleep
        session = desk.open()
        await desk.hello(session)
        await session.end()
        for _ in range(100):
            await asyncio.sleep(0)
        assert await desk.wall.standing.sockets() == []
        assert tries == [session.socket] * 21
        assert pauses[-1] >= 1, "it is no burden meanwhile"
        message_id = await desk.ask()
        await desk.hello(desk.open())
        await desk.deliver()
        assert works(desk) == [(message_id, 1)]

    run(scenario)


def test_p4_a_bot_that_hangs_with_an_open_socket_gets_nothing_more_and_another_one_gets_its_message() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.desk.queue_events.start()
        hanging = desk.open()
        await desk.hello(hanging)
        message_id = await desk.ask()
        await desk.deliver()
        desk.runtime.advance(601)
        await desk.deliver()
        assert (works(desk), len(desk.sent_of("lost"))) == ([(message_id, 1)], 1)
        await desk.desk.renew()
        assert not desk.desk._offer(message_id, "zen")
        del desk.desk.sessions[hanging.socket]
        again = desk.desk.restore(hanging.state, desk._take)  # its server has slept
        await desk.desk.end_others()
        await desk.desk.renew()
        await desk.deliver()
        assert works(desk) == [(message_id, 1)]
        await again.receive(json.dumps({"type": "hands", "id": 1, "hands": 1, "entities": {"zen": 1}}))
        await desk.deliver()
        assert works(desk) == [(message_id, 1), (message_id, 2)], "it did not hang, or does not any more"

    run(scenario)


def test_events_of_waiting_claims_are_none_of_its_business() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.hello(desk.open())
        desk.desk.on_event(QueueEvent(1, 7, events.work("ticket", 1, "abcd")))
        assert works(desk) == []

    run(scenario)
