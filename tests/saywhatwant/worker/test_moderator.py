"""The rules at a server: when they hold, what they refuse, and what a retry gets."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection

from durable_objects import CommitFailed, OutcomeUnknown
from durable_objects.simulated import SimulatedRuntime
from durable_objects.wire import WireRuntime
from saywhatwant.errors import Banned, InvalidField, ReviewFull, SlowMode, WordNotAllowed
from saywhatwant.limits import MAX_HELD_BYTES
from saywhatwant.message import NewMessage, Posted, decode_list
from saywhatwant.moderation import object as moderation_object
from saywhatwant.moderation.object import Moderation
from saywhatwant.moderation.rules import Subject
from saywhatwant.queue import QueueConfig
from saywhatwant.settings import load
from saywhatwant.topology import moderation_of, open_wall
from saywhatwant.worker import create_worker
from saywhatwant.worker.moderator import Moderator, SlowClients
from scenario import run, turns

HERE = "192.0.2.7"
ADA = Subject(username="Ada", color="204120051")


def a_post(text: str = "Why is space black?", **fields: Any) -> NewMessage:
    return NewMessage(**({"text": text, "username": "Ada", "color": "204120051"} | fields))


def client(host: str | None = HERE) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [], "client": None if host is None else (host, 1)})


class Server:
    """A server's moderator, in front of simulated objects. Make it inside a running event loop."""

    def __init__(self, runtime: SimulatedRuntime | None = None, *, follows: bool = False) -> None:
        self.runtime = runtime or SimulatedRuntime()
        self.wall = open_wall(self.runtime, QueueConfig())
        self.seconds = 0.0
        self.moderation = moderation_of(self.runtime)
        self.moderator = Moderator(
            self.wall,
            self.moderation,
            follows=follows,
            clock=lambda: self.runtime.now_ms / 1_000,
            slow=SlowClients(lambda: self.seconds),
            sleep=lambda _: asyncio.sleep(0),
        )

    async def post(self, text: str = "Why?", *, key: str | None = None, host: str | None = HERE, **fields: Any) -> Posted:
        return await self.moderator.post(client(host), a_post(text, **fields), key)

    async def texts(self) -> list[str]:
        return [message.text for message in decode_list((await self.wall.read()).body)]


Scenario = Callable[[Server], Awaitable[None]]


def on_a_server(scenario: Scenario) -> None:
    async def main() -> None:
        server = Server()
        await scenario(server)
        await server.moderator.aclose()

    run(main())


# -- What they refuse


@pytest.mark.parametrize(
    ("subject", "refused", "taken"),
    [
        (ADA, {}, {"color": "204120052"}),
        (ADA, {"color_tail": "Ab3dE5gH1j"}, {"username": "ada"}),
        (Subject(username="Ada", color="204120051", color_tail="Ab3dE5gH1j"), {"color_tail": "Ab3dE5gH1j"}, {}),
        (Subject(address="192.0.2.0/24"), {"host": "::ffff:192.0.2.99"}, {"host": "192.0.3.7"}),
        (Subject(address="2001:db8::/48"), {"host": "2001:db8:0:1::1"}, {"host": "2001:db8:1::1"}),
        (Subject(address="192.0.2.0/24"), {}, {"host": None}),
    ],
)
def test_p8_those_who_are_banned_are_told_until_when(subject: Subject, refused: Any, taken: Any) -> None:
    async def scenario(server: Server) -> None:
        await server.moderator.change_rules(Moderation.ban, subject, 3_600, "olga", "a secret")
        with pytest.raises(Banned, match=r"until 2023-11-14 23:13 UTC") as error:
            await server.post(**refused)
        assert "secret" not in str(error.value)
        await server.post(**taken)
        server.runtime.advance(3_599)
        with pytest.raises(Banned):
            await server.post(**refused)
        server.runtime.advance(1)
        assert not server.moderator.is_idle
        await server.post(**refused)
        assert server.moderator.is_idle, "an ended ban costs nothing"

    on_a_server(scenario)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("text", {"text": "Buy, NOW!"}),
        ("username", {"username": "buy now"}),
        ("botParams.ais", {"ais": "Buy now:255000000"}),
    ],
)
def test_p8_a_refused_word_is_named_with_the_field(field: str, fields: dict[str, str]) -> None:
    async def scenario(server: Server) -> None:
        await server.moderator.change_rules(Moderation.filter, "buy now", "refuse", "olga", "")
        with pytest.raises(WordNotAllowed, match="buy now") as error:
            await server.post(**fields)
        assert error.value.field == field
        await server.post("Bye now.", context=("buy now",))

    on_a_server(scenario)


def test_what_is_refused_for_one_word_is_not_held_for_another() -> None:
    async def scenario(server: Server) -> None:
        for phrase, action in (("casino", "hold"), ("spam", "refuse")):
            await server.moderator.change_rules(Moderation.filter, phrase, action, "olga", "")  # type: ignore[arg-type]
        assert (await server.post("casino")).held
        with pytest.raises(WordNotAllowed):
            await server.post("casino spam")

    on_a_server(scenario)


def test_p8_slow_mode_tells_when_the_next_post_is_taken_and_counts_no_refused_ones() -> None:
    async def scenario(server: Server) -> None:
        await server.moderator.change_rules(Moderation.slow, 30, "olga", "")
        await server.moderator.change_rules(Moderation.filter, "spam", "refuse", "olga", "")
        with pytest.raises(WordNotAllowed):
            await server.post("spam")
        await server.post("one")
        server.seconds = 10.5
        with pytest.raises(SlowMode) as error:
            await server.post("two")
        assert error.value.retry_after_seconds == 20
        await server.post("two", host="192.0.2.8")
        await server.post("an answer", message_type="AI")
        server.seconds = 30
        await server.post("two")

    on_a_server(scenario)


def test_p8_slow_mode_counts_no_post_that_finds_the_review_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderation_object, "MAX_HELD", 0)

    async def scenario(server: Server) -> None:
        await server.moderator.change_rules(Moderation.slow, 30, "olga", "")
        await server.moderator.change_rules(Moderation.filter, "casino", "hold", "olga", "")
        with pytest.raises(ReviewFull):
            await server.post("casino")
        await server.post("one")
        with pytest.raises(SlowMode):
            await server.post("two")

    on_a_server(scenario)


def test_p8_a_post_that_is_too_long_to_be_held_is_refused_with_the_field() -> None:
    async def scenario(server: Server) -> None:
        await server.moderator.change_rules(Moderation.filter, "casino", "hold", "olga", "")
        with pytest.raises(InvalidField) as error:
            await server.post("casino", context=("x" * MAX_HELD_BYTES,))
        assert error.value.field == "context"
        assert (await server.post("casino", context=("x" * (MAX_HELD_BYTES - 1_000),))).held

    on_a_server(scenario)


def test_p6_posts_that_find_the_review_full_are_refused_and_may_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderation_object, "MAX_HELD", 1)

    async def scenario(server: Server) -> None:
        await server.moderator.change_rules(Moderation.filter, "casino", "hold", "olga", "")
        first = await server.post("casino", key="one")
        with pytest.raises(ReviewFull):
            await server.post("casino", key="two")
        assert (await server.post("casino", key="one")).id == first.id, "a retry needs no room"
        place = await server.wall.place_of((await server.moderation.call(Moderation.overview)).held[0])
        await server.moderation.call(Moderation.reject, first.id, place, "olga", "")
        assert (await server.post("casino", key="two")).held

    on_a_server(scenario)


# -- Retries


@pytest.mark.parametrize("rule", ["ban", "refuse", "hold", "slow"])
@pytest.mark.parametrize("name", ["key", "id"])
def test_p7_a_retry_gets_the_first_answer_though_a_rule_has_come(rule: str, name: str) -> None:
    async def scenario(server: Server) -> None:
        mine = {name: "mypost"}
        first = await server.post("casino", **mine)
        match rule:
            case "ban":
                await server.moderator.change_rules(Moderation.ban, ADA, 60, "olga", "")
            case "refuse" | "hold":
                await server.moderator.change_rules(Moderation.filter, "casino", rule, "olga", "")
            case "slow":
                await server.moderator.change_rules(Moderation.slow, 60, "olga", "")
                await server.post("another one")
        again = await server.post("casino", **mine)
        assert (again.id, again.timestamp, again.held) == (first.id, first.timestamp, False)
        assert (await server.texts()).count("casino") == 1

    on_a_server(scenario)


@pytest.mark.parametrize("name", ["key", "id"])
def test_p7_a_held_posts_retry_gets_its_answer_though_the_filter_is_gone(name: str) -> None:
    async def scenario(server: Server) -> None:
        await server.moderator.change_rules(Moderation.filter, "casino", "hold", "olga", "")
        first = await server.post("casino", **{name: "mypost"})
        await server.moderator.change_rules(Moderation.unfilter, "casino", "olga", "")
        assert server.moderator.is_idle
        again = await server.wall.post(
            a_post("casino", id="mypost" if name == "id" else None), "mypost" if name == "key" else None
        )
        assert (again.id, again.held) == (first.id, True)
        assert await server.texts() == []

    on_a_server(scenario)


# -- When they hold


def test_p1_rules_of_an_earlier_life_hold_for_the_first_post() -> None:
    async def scenario(server: Server) -> None:
        await server.moderator.change_rules(Moderation.filter, "spam", "refuse", "olga", "")
        server.runtime.crash()
        later = Server(server.runtime)
        with pytest.raises(WordNotAllowed):
            await later.post("spam")

    on_a_server(scenario)


def test_without_rules_posts_go_to_the_wall_and_the_rules_are_read_once() -> None:
    async def scenario(server: Server) -> None:
        calls: list[str] = []
        call = server.moderation.call

        async def counted(method: Any, *args: Any) -> Any:
            calls.append(method.__name__)
            return await call(method, *args)

        server.moderator._moderation = _With(server.moderation, call=counted)
        for _ in range(3):
            await server.post()
        assert server.moderator.is_idle
        assert calls == ["rules"]

    on_a_server(scenario)


class _With:
    """A stub with some of its methods replaced."""

    def __init__(self, stub: Any, **methods: Any) -> None:
        self._stub = stub
        vars(self).update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stub, name)


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), CommitFailed("full")])
def test_p1_a_rule_whose_answer_was_lost_holds_for_the_next_post(error: Exception) -> None:
    async def scenario(server: Server) -> None:
        await server.post()
        call = server.moderation.call

        async def loses(method: Any, *args: Any) -> Any:
            await call(method, *args)
            if method is Moderation.filter:
                raise error

            return await call(method, *args)

        server.moderator._moderation = _With(server.moderation, call=loses)
        with pytest.raises(type(error)):
            await server.moderator.change_rules(Moderation.filter, "spam", "refuse", "olga", "")
        with pytest.raises(WordNotAllowed):
            await server.post("spam")

    on_a_server(scenario)


# -- Several servers


def test_a_change_at_one_server_holds_at_the_others_when_its_event_has_come() -> None:
    async def scenario() -> None:
        one = Server(follows=True)
        other = Server(one.runtime, follows=True)
        for server in (one, other):
            await server.post()
            await turns()
        await one.moderator.change_rules(Moderation.filter, "spam", "refuse", "olga", "")
        await turns()
        with pytest.raises(WordNotAllowed):
            await other.post("spam")
        await other.moderator.change_rules(Moderation.unfilter, "spam", "olga", "")
        await turns()
        await one.post("spam")
        assert one.moderator.is_idle
        for server in (one, other):
            await server.moderator.aclose()

    run(scenario())


@pytest.mark.usefixtures("no_settings")
def test_a_change_at_one_server_holds_at_another_one_over_a_network_that_delays_and_loses() -> None:
    async def scenario() -> None:
        network = WireRuntime(SimulatedRuntime(), seed=3)
        workers = [create_worker(network.gateway(), load(runtime="wire")) for _ in range(2)]
        one, other = [
            httpx.AsyncClient(transport=httpx.ASGITransport(worker.app), base_url="http://127.0.0.1") for worker in workers
        ]
        spam = {"text": "spam", "username": "Ada", "color": "204120051"}
        assert (await other.post("/api/comments", json=spam)).status_code == 200
        body = {"phrase": "spam", "action": "refuse"}
        assert (await one.post("/api/moderation/filter", json=body)).status_code == 200
        assert (await one.post("/api/comments", json=spam)).status_code == 422, "where it was made it holds at once"
        while (await other.post("/api/comments", json=spam)).status_code == 200:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
        for worker in workers:
            await worker.moderator.aclose()

    run(scenario())


def test_a_server_follows_the_rules_on_after_an_error_that_nobody_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[bool] = []

    async def scenario() -> None:
        one = Server(follows=True)
        other = Server(one.runtime, follows=True)
        await other.post()
        await turns()

        async def fail() -> None:
            failed.append(True)
            raise ZeroDivisionError

        with monkeypatch.context() as broken:
            broken.setattr(other.moderator, "_read", fail)
            await one.moderator.change_rules(Moderation.filter, "spam", "refuse", "olga", "")
            await turns()
        await turns()
        with pytest.raises(WordNotAllowed):
            await other.post("spam")
        for server in (one, other):
            await server.moderator.aclose()

    run(scenario())
    assert failed


def test_a_server_whose_events_were_interrupted_reads_the_rules_again() -> None:
    async def scenario() -> None:
        one = Server(follows=True)
        other = Server(one.runtime, follows=True)
        await other.post()
        await turns()
        one.runtime.crash()  # ends all streams
        await one.moderator.change_rules(Moderation.filter, "spam", "refuse", "olga", "")
        await turns()
        with pytest.raises(WordNotAllowed):
            await other.post("spam")
        for server in (one, other):
            await server.moderator.aclose()

    run(scenario())
