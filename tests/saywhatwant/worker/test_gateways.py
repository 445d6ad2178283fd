"""Several gateways in front of one queue: a message wakes one claim, wherever that waits, and none is missed (P4)."""

from typing import Any

from gateways import Gateways, ids
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.limits import MAX_WAIT_SECONDS
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.waiting import Wait
from saywhatwant.worker.limits import MAX_LOOKS
from scenario import run, turns

NAMES = ("zen", "rude", "eliza")


def test_p4_three_gateways_wake_one_claim_for_one_message() -> None:
    async def scenario() -> None:
        walls = Gateways("a", "b", "c")
        for _ in range(4):
            for gateway in walls:
                await gateway.wait("zen")
        assert [gateway.network.claims for gateway in walls] == [4, 4, 4]
        posted = [await walls.post("zen") for _ in range(10)]
        await turns()
        assert sorted(message for gateway in walls for message, _ in gateway.attempts()) == sorted(posted)
        assert sum(gateway.network.claims for gateway in walls) == 12 + 10
        assert sum(gateway.network.in_vain for gateway in walls) == 0
        await walls.aclose()

    run(scenario())


def test_p4_the_claim_that_waited_longest_is_woken_at_whichever_gateway() -> None:
    async def scenario() -> None:
        walls = Gateways("a", "b", "c")
        claims = [await walls[number].wait("zen") for number in (2, 0, 1, 0)]
        for claim in claims:
            posted = await walls.post("zen")
            await turns()
            assert ids(claim) == [posted]
        await walls.aclose()

    run(scenario())


def test_p4_what_a_dead_gateway_was_woken_for_goes_to_another_one_a_moment_later() -> None:
    async def scenario() -> None:
        walls = Gateways("a", "b")
        await walls[0].wait("zen")
        living = await walls[1].wait("zen")
        await walls[0].die()
        posted = await walls.post("zen")
        await turns()
        await walls[1].look()
        assert not living.done()
        await walls[1].look()
        assert ids(living) == [posted]
        await walls.aclose()

    run(scenario())


def test_p4_what_is_passed_on_to_a_dead_gateway_is_claimed_a_moment_later_too() -> None:
    """The first claim that takes the place of a dead one finds something more urgent, and the next in line is dead as well."""

    async def scenario() -> None:
        walls = Gateways("a", "b")
        for entity in ("zen", "rude", "zen"):
            await walls[0].wait(entity)
        await walls[0].die()
        either, zen = await walls[1].wait("zen", "rude"), await walls[1].wait("zen")
        for_zen, urgent = await walls.post("zen"), await walls.post("rude", 0)
        await turns()
        for _ in range(2):
            await walls[1].look()
        assert ids(either) == [urgent]
        assert not zen.done()
        await walls[1].look()
        assert ids(zen) == [for_zen]
        await walls.aclose()

    run(scenario())


def test_p4_all_that_a_dead_gateway_was_woken_for_is_claimed_at_once_by_different_claims() -> None:
    async def scenario() -> None:
        walls = Gateways("a", "b")
        for _ in range(2):
            await walls[0].wait("zen")
        await walls[0].die()
        living = [await walls[1].wait("zen") for _ in range(2)]
        posted = [await walls.post("zen") for _ in range(2)]
        await turns()
        for _ in range(2):
            await walls[1].look()
        assert [ids(claim) for claim in living] == [[message] for message in posted]
        await walls.aclose()

    run(scenario())


def test_p4_work_for_a_client_that_has_gone_is_passed_on_though_its_event_comes_late() -> None:
    async def scenario() -> None:
        walls = Gateways("a", "b")
        leaver = await walls[0].wait("zen")
        claim = await walls[1].wait("zen")
        walls[0].network.events_come.clear()
        posted = await walls.post("zen")
        walls[0].leave(0)
        await turns()
        assert leaver.result().messages == []
        await walls.settle()
        assert ids(claim) == [posted]
        await walls.aclose()

    run(scenario())


def test_a_claim_whose_time_is_up_makes_no_further_call() -> None:
    """Its ticket ends by itself."""

    async def scenario() -> None:
        walls = Gateways("a")
        claim = await walls[0].wait("zen", seconds=0.01)
        calls = walls[0].network.calls
        await claim
        await turns()
        assert walls[0].network.calls == calls
        await walls.aclose()

    run(scenario())


def test_p4_claims_look_again_when_events_were_lost() -> None:
    async def scenario() -> None:
        walls = Gateways("a")
        claim = await walls[0].wait("zen")
        walls[0].network.events_come.clear()
        posted = await walls.post("zen")
        walls[0].network.events_lost = True
        await walls.settle()
        assert ids(claim) == [posted]
        await walls.aclose()

    run(scenario())


def test_p4_a_restarted_gateway_replaces_the_tickets_of_its_last_life() -> None:
    async def scenario() -> None:
        walls = Gateways("a", "b")
        await walls[0].wait("zen")
        await walls[1].wait("rude")
        await walls.restart(0)
        claim = await walls[0].wait("zen")
        assert walls.tickets() == ["a/1/0", "b/0/0"]
        posted = await walls.post("zen")
        await turns()
        assert ids(claim) == [posted]
        await walls.aclose()

    run(scenario())


def test_p4_a_claim_that_was_woken_in_vain_keeps_its_place() -> None:
    async def scenario() -> None:
        walls = Gateways("a", "b")
        first = await walls[0].wait("zen")
        await walls[1].wait("zen")
        walls[0].network.events_come.clear()
        await walls.post("zen")
        await walls.queue.call(MessageQueue.claim_next, "faster")
        await walls.settle()
        assert walls[0].network.in_vain == 1
        posted = await walls.post("zen")
        await turns()
        assert ids(first) == [posted]
        await walls.aclose()

    run(scenario())


def test_a_waiting_claim_costs_one_row_until_a_message_takes_it() -> None:
    async def scenario() -> None:
        walls = Gateways("a")
        await walls[0].wait("zen")
        meter = walls.runtime.meter
        written = meter.writes, meter.deletes
        await walls.post("zen")
        assert (meter.writes - written[0], meter.deletes - written[1]) == (1, 1), "the message, and the ticket"
        assert walls.tickets() == []
        commits = meter.commits
        await turns()
        assert meter.commits - commits == 1, "the claim"
        await walls.aclose()

    run(scenario())


STEPS = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, 2), st.sets(st.sampled_from(NAMES), max_size=2), st.integers(1, 2)),
    st.tuples(st.just("post"), st.sampled_from([*NAMES, None]), st.integers(0, 2)),
    st.tuples(st.sampled_from(["leave", "cancel"]), st.integers(0, 2), st.integers(0, 9)),
    st.tuples(
        st.sampled_from(["late answers", "late events", "lost request", "lost answer", "die", "look"]), st.integers(0, 2)
    ),
    st.tuples(st.sampled_from(["faster", "settle", "turns", "crash", "evict", "minutes"])),
)


async def take_step(walls: Gateways, step: tuple[Any, ...]) -> None:  # noqa: C901, PLR0912 - a list of steps
    match step:
        case ("wait", number, entities, limit):
            await walls[number].wait(*sorted(entities), limit=limit)
        case ("post", entity, priority):
            await walls.post(entity, priority)
        case ("leave", number, pick):
            walls[number].leave(pick)
        case ("cancel", number, pick) if walls[number].claims:
            list(walls[number].claims)[pick % len(walls[number].claims)].cancel()
        case ("late answers", number):
            walls[number].network.answers.clear()
        case ("late events", number):
            walls[number].network.events_come.clear()
        case ("lost request", number):
            walls[number].network.loses.append("request")
        case ("lost answer", number):
            walls[number].network.loses.append("answer")
        case ("die", number):
            await walls.restart(number)
        case ("look", number):
            await walls[number].look()
        case ("faster",):
            await walls.queue.call(MessageQueue.claim_next, "faster")
        case ("settle",):
            await walls.settle()
        case ("turns",):
            await turns()
        case ("crash",):
            walls.runtime.crash()
        case ("evict",):
            walls.runtime.evict_idle()
            walls.runtime.evict_idle()
        case ("minutes",):
            walls.runtime.advance(120)


@settings(max_examples=examples(300))
@given(steps=st.lists(STEPS, max_size=40))
def test_p4_no_gateway_has_a_claim_that_waits_while_there_is_work_for_it(steps: list[tuple[Any, ...]]) -> None:
    """Whatever is late, lost, killed or dropped from memory meanwhile, and whichever tickets have expired."""

    async def scenario() -> None:
        walls = Gateways("a", "b", "c")
        for step in steps:
            await take_step(walls, step)
        await walls.settle()
        for _ in range(MAX_LOOKS + 1):
            for gateway in walls:
                await gateway.look()
        pending = await walls.pending()
        left = [(gateway.name, entities) for gateway in walls for entities in gateway.waiting()]
        missed = [(claim, message) for claim in left for message in pending if wants(claim[1], message[1])]
        assert missed == []
        attempts = [attempt for gateway in (*walls, *walls.dead) for attempt in gateway.attempts()]
        assert len(attempts) == len(set(attempts))
        await walls.aclose()
        walls.runtime.advance(MAX_WAIT_SECONDS + 1)
        await walls.queue.call(MessageQueue.claim_next, "late", ("nobody",), wait=Wait("late", 1_000))
        assert set(walls.tickets()) <= {"late"}, "all others have ended"

    run(scenario())


def wants(entities: tuple[str, ...], entity: str | None) -> bool:
    return not entities or entity is None or entity in entities
