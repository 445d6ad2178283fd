"""Waiting claims: each new message wakes one of them, and no message is missed while a claim waits (P4)."""

import asyncio
from typing import Any

import pytest
from claim_harness import Harness, ids
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.errors import TooManyWaiting
from saywhatwant.message import NewMessage, decode
from saywhatwant.queue import MessageQueue
from saywhatwant.schemas import ClaimNextResponse
from scenario import run, turns

NOTHING = ClaimNextResponse([])


def test_p4_claims_are_woken_in_the_order_in_which_they_came() -> None:
    async def scenario() -> None:
        harness = Harness()
        claims = [await harness.wait(f"bot-{number}") for number in range(3)]
        assert len(harness.waiters) == 3
        for claim in claims:
            assert not claim.done()
            posted = await harness.post()
            await turns()
            assert ids(claim) == [posted]
        assert len(harness.waiters) == 0

    run(scenario())


def test_p4_a_claim_is_woken_for_its_own_entities_and_for_no_entity() -> None:
    async def scenario() -> None:
        harness = Harness()
        rude, zen = await harness.wait("rude", "rude", "eliza"), await harness.wait("zen", "zen")
        posted = await harness.post("zen")
        await turns()
        assert ids(zen) == [posted]
        await harness.post("suntsu")
        await turns()
        assert not rude.done()
        posted = await harness.post(None)
        await turns()
        assert ids(rude) == [posted]

    run(scenario())


def test_a_message_to_anyone_wakes_a_claim_for_the_entity_that_its_author_talked_with_last() -> None:
    """Else the claim that has waited longest would take it, which cannot join that talk."""

    async def scenario() -> None:
        harness = Harness()
        for entity, author in (("rude", "Ada"), ("zen", "Ada"), ("rude", "Bob")):
            claim = await harness.wait("bot", entity)
            posted = await harness.post(entity, username=author)
            await turns()
            assert ids(claim) == [posted]
        eliza, rude, zen = [await harness.wait("bot", entity) for entity in ("eliza", "rude", "zen")]
        posted = await harness.post(None, username="Ada")
        await turns()
        assert ids(zen) == [posted]
        posted = await harness.post(None, username="Ada")
        await turns()
        assert ids(eliza) == [posted], "hers is busy, so that nobody waits for it"
        posted = await harness.post(None, username="Bob")
        await turns()
        assert ids(rude) == [posted]

    run(scenario())


def test_p4_work_that_is_there_already_is_not_waited_for() -> None:
    async def scenario() -> None:
        harness = Harness()
        posted = await harness.post()
        assert ids(await harness.wait("bot")) == [posted]

    run(scenario())


def test_p4_an_offer_is_passed_on_when_the_claimer_leaves() -> None:
    """The client goes away in the very moment in which work comes."""

    async def scenario() -> None:
        harness = Harness()
        gone = asyncio.Event()
        leaver, next_one = await harness.wait("leaver", gone=gone), await harness.wait("next")
        gone.set()
        posted = await harness.post()
        await turns()
        assert leaver.result() == NOTHING
        assert ids(next_one) == [posted]

    run(scenario())


def test_p4_a_claim_that_takes_something_more_urgent_passes_on_what_it_was_woken_for() -> None:
    """A is woken for zen's message, finds rude's more urgent one beside it; zen's is for B, who waits for nothing else."""

    async def scenario() -> None:
        harness = Harness()
        either, zen_only = await harness.wait("either", "zen", "rude"), await harness.wait("zen only", "zen")
        posted = await harness.post("zen")
        urgent = NewMessage(text="Now!", username="Human", color="169080199", entity="rude", priority=0)
        first = (await harness.queue.call(MessageQueue.post, urgent)).id
        await turns()
        assert ids(either) == [first]
        assert ids(zen_only) == [posted]

    run(scenario())


def test_p4_an_offer_is_passed_on_when_the_claimer_is_cancelled() -> None:
    async def scenario() -> None:
        harness = Harness()
        cancelled, next_one = await harness.wait("cancelled"), await harness.wait("next")
        posted = await harness.post()
        cancelled.cancel()
        await turns()
        assert cancelled.cancelled()
        assert ids(next_one) == [posted]
        assert len(harness.waiters) == 0

    run(scenario())


def test_p4_an_offer_is_passed_on_when_the_claim_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        harness = Harness()
        unlucky, next_one = await harness.wait("unlucky"), await harness.wait("next")
        claim_next = MessageQueue.claim_next

        def break_once(*_: object, **__: object) -> None:
            monkeypatch.setattr(MessageQueue, "claim_next", claim_next)
            raise ZeroDivisionError

        break_once.__name__ = "claim_next"
        monkeypatch.setattr(MessageQueue, "claim_next", break_once)
        posted = await harness.post()
        await turns()
        assert unlucky.exception() is not None
        assert ids(next_one) == [posted]

    run(scenario())


def test_p4_work_that_comes_while_a_woken_claim_finds_nothing_wakes_it_again() -> None:
    """Somebody was faster; what is posted before the woken claim has its answer must not be lost on it."""

    async def scenario() -> None:
        harness = Harness()
        waiting = await harness.wait("waiting")
        harness.stub.open.clear()
        await harness.post()
        await harness.queue.call(MessageQueue.claim_next, "faster")
        await turns()
        posted = await harness.post()
        harness.stub.open.set()
        await turns()
        assert ids(waiting) == [posted]

    run(scenario())


def test_p4_a_client_that_has_left_claims_nothing() -> None:
    async def scenario() -> None:
        harness = Harness()
        gone = asyncio.Event()
        leaver = await harness.wait("leaver", gone=gone)
        gone.set()
        await turns()
        assert leaver.result() == NOTHING
        await harness.post()
        assert len(await harness.queue.call(MessageQueue.pending, 10)) == 1

    run(scenario())


def test_p4_a_bot_is_here_while_one_of_its_claims_waits() -> None:
    """A bot that restarts under its name may claim before the server sees that its old connection is closed."""

    async def scenario() -> None:
        harness = Harness()
        old, new = asyncio.Event(), asyncio.Event()
        served = []
        for gone in (old, new):
            harness.waiters.bots.claims("bot", ["zen"])
            await harness.wait("bot", "zen", gone=gone)
        await harness.wait("another", "zen")
        for gone in (old, new):
            gone.set()
            await turns()
            served.append(harness.waiters.bots.serving("zen"))
        assert served == [{"bot"}, set()]

    run(scenario())


def test_p6_a_full_room_refuses_and_has_room_again_when_somebody_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.worker.claim_waiters.MAX_WAITING_CLAIMS", 2)

    async def scenario() -> None:
        harness = Harness()
        first, _ = await harness.wait("first"), await harness.wait("second")
        refused = await harness.wait("third")
        assert isinstance(refused.exception(), TooManyWaiting)
        first.cancel()
        await turns()
        assert not (await harness.wait("third")).done()
        assert len(harness.waiters) == 2

    run(scenario())


def test_p6_closing_the_room_lets_everybody_go_with_nothing() -> None:
    async def scenario() -> None:
        harness = Harness()
        claims = [await harness.wait(f"bot-{number}") for number in range(3)]
        harness.waiters.close()
        await turns()
        assert [claim.result() for claim in claims] == [NOTHING, NOTHING, NOTHING]
        assert (await harness.wait("late")).result() == NOTHING

    run(scenario())


def test_p4_a_message_wakes_one_claim_and_that_one_wakes_no_other() -> None:
    async def scenario() -> None:
        harness = Harness()
        for number in range(5):
            await harness.wait(f"bot-{number}")
        before = harness.stub.calls
        await harness.post()
        await turns()
        assert (harness.stub.calls - before, len(harness.waiters)) == (1, 4)

    run(scenario())


def test_p4_all_that_a_failed_claim_was_woken_for_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        harness = Harness()
        unlucky = await harness.wait("unlucky")
        suntsu, zen = await harness.wait("suntsu", "suntsu"), await harness.wait("zen", "zen")
        harness.stub.open.clear()
        with monkeypatch.context() as patch:
            patch.setattr(MessageQueue, "claim_next", broken_claim_next)
            for_zen = await harness.post("zen")
            await turns()
        for_anybody = await harness.post(None, username="Ada")
        harness.stub.open.set()
        await turns()
        assert unlucky.exception() is not None
        assert (ids(suntsu), ids(zen)) == ([for_anybody], [for_zen])

    run(scenario())


Waiting = dict[asyncio.Task[ClaimNextResponse], tuple[set[str], asyncio.Event]]
STEPS = st.one_of(
    st.tuples(st.just("wait"), st.sets(st.sampled_from(["zen", "rude", "eliza"]), max_size=2), st.integers(1, 3)),
    st.tuples(st.just("post"), st.sampled_from(["zen", "rude", "eliza", None]), st.integers(0, 2)),
    st.tuples(st.sampled_from(["faster", "cancel", "leave", "hold", "release", "turns"]), st.integers(0, 9)),
)


async def take_step(harness: Harness, waiting: Waiting, step: tuple[Any, ...]) -> None:
    match step:
        case ("wait", entities, limit):
            gone = asyncio.Event()
            claim = await harness.wait(f"bot-{len(waiting)}", *sorted(entities), limit=limit, gone=gone)
            waiting[claim] = (entities, gone)
        case ("post", entity, priority):
            await post_to_first(harness, waiting, entity, priority)
        case ("faster", _):
            await harness.queue.call(MessageQueue.claim_next, "faster")
        case ("cancel", pick) if waiting:
            list(waiting)[pick % len(waiting)].cancel()
        case ("leave", pick) if waiting:
            list(waiting.values())[pick % len(waiting)][1].set()
        case ("hold", _):
            harness.stub.open.clear()
        case ("release", _):
            harness.stub.open.set()
    if step[0] in {"release", "turns"}:
        await turns()


async def post_to_first(harness: Harness, waiting: Waiting, entity: str | None, priority: int) -> None:
    """Post; where nothing else is under way, the claim that has waited longest for such a message gets it."""
    quiet = harness.stub.open.is_set() and not harness.stub.busy
    if quiet:
        await turns()
    first = next((claim for claim, (entities, _) in waiting.items() if not claim.done() and wants(entities, entity)), None)
    posted = await harness.post(entity, priority, username=f"visitor {harness.stub.calls}")
    if quiet and first is not None:
        await turns()
        assert posted in ids(first)


@settings(max_examples=examples(200))
@given(steps=st.lists(STEPS, max_size=40))
def test_p4_no_claim_waits_while_there_is_work_for_it(steps: list[tuple[Any, ...]]) -> None:
    """Whatever comes, goes, is cancelled or is claimed by others meanwhile; and the one that came first is served first."""

    async def scenario() -> None:
        harness = Harness()
        waiting: Waiting = {}
        for step in steps:
            await take_step(harness, waiting, step)
        harness.stub.open.set()
        await turns()
        pending = [decode(wire).bot_params.entity for wire in await harness.queue.call(MessageQueue.pending, 100)]
        left = [entities for claim, (entities, _) in waiting.items() if not claim.done()]
        assert len(harness.waiters) == len(left)
        assert not any(wants(entities, entity) for entities in left for entity in pending)
        claimed = [message for claim in waiting if claim.done() and not claim.cancelled() for message in ids(claim)]
        assert len(claimed) == len(set(claimed))
        harness.waiters.close()
        await turns()
        assert len(harness.waiters) == 0
        assert harness.tickets() == []

    run(scenario())


def wants(entities: set[str], entity: str | None) -> bool:
    return not entities or entity is None or entity in entities


def broken_claim_next(*_: object, **__: object) -> None:
    raise ZeroDivisionError


broken_claim_next.__name__ = "claim_next"
