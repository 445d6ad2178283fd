"""Which waiting claim a message wakes: the object decides, by its tickets (P4)."""

import sys
from typing import Any

import msgspec
import pytest
from queue_wall import Wall

from listening import Listener
from saywhatwant.errors import TooManyWaiting
from saywhatwant.limits import MAX_WAIT_SECONDS
from saywhatwant.queue import MessageQueue, events
from saywhatwant.queue.waiting import Wait

MINUTE_MS = 60_000


class WaitingWall(Wall):
    """A wall, and the tickets that it wakes."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**{"entities": ("zen", "rude", "eliza")} | config)
        self._listener = Listener(self.stub)

    def wait(self, ticket: str, *entities: str, left_ms: int = MINUTE_MS, **more: Any) -> list[str]:
        """Claim with a ticket; returns what it got."""
        wait = Wait(ticket, left_ms, **more)
        claimed = self.call(MessageQueue.claim_next, f"bot of {ticket}", entities or None, wait=wait).messages
        return [msgspec.json.decode(wire)["id"] for wire in claimed]

    def woken(self) -> list[tuple[str, str]]:
        """The tickets that have been woken since the last look, each with its message."""
        heard = [events.parse(event) for event in self._listener.take() if events.is_work(event)]
        return [(event.ticket, event.id) for event in heard]

    def tickets(self) -> list[str]:
        """Those in storage."""
        keys = [key for key, _ in self.runtime.disk.list("Queue/wall", "waiting/", "", 1_000)]
        return [key.removeprefix("waiting/") for key in keys]

    def drop_memory(self) -> None:
        """As a network runtime may between any two calls."""
        self.runtime.evict_idle()
        self.runtime.evict_idle()
        assert self.runtime.live_objects == 0


def test_p4_a_message_takes_the_oldest_ticket_for_it_whatever_memory_was_dropped() -> None:
    wall = WaitingWall()
    for ticket, entities in (("rude", ("rude",)), ("both", ("zen", "rude")), ("any", ()), ("zen", ("zen",))):
        assert wall.wait(ticket, *entities) == []
    for entity, ticket in (("zen", "both"), ("zen", "any"), ("zen", "zen"), (None, "rude")):
        wall.drop_memory()
        assert wall.woken() == []
        message = wall.ask(entity=entity)
        assert wall.woken() == [(ticket, message)]
    assert wall.tickets() == []


def test_p4_a_ticket_is_woken_in_the_commit_of_what_makes_the_message_claimable() -> None:
    """By a post, a release, a retry, the end of a backoff, and the end of a lease."""
    wall = WaitingWall(backoff_ms=1_000)
    wall.wait("posted", "zen")
    message = wall.ask(entity="zen")
    assert wall.woken() == [("posted", message)]
    fence = ("bot", 1)
    wall.claim(message)
    wall.wait("released", "zen")
    wall.call(MessageQueue.release, message, *fence)
    assert wall.woken() == [("released", message)]
    wall.claim(message)
    wall.wait("backed off", "zen")
    wall.call(MessageQueue.fail, message, "bot", 2, "no words")
    assert wall.woken() == []
    wall.runtime.advance(2)
    assert wall.woken() == [("backed off", message)]
    wall.claim(message)
    wall.wait("expired", "zen", left_ms=MINUTE_MS)
    wall.runtime.advance(1)
    wall.wait("expired later", "zen", left_ms=MINUTE_MS)
    wall.runtime.advance(59)
    assert wall.woken() == [("expired later", message)], "the lease and the first ticket ended together"
    wall.claim(message)
    wall.call(MessageQueue.fail, message, "bot", 4, "no words", retry=False)
    wall.wait("retried", "zen")
    wall.call(MessageQueue.retry, message)
    assert wall.woken() == [("retried", message)]


def test_p4_leases_that_a_claim_ends_wake_others_for_what_it_does_not_take_itself() -> None:
    wall = WaitingWall()
    messages = [wall.ask(entity="zen") for _ in range(2)]
    assert len(wall.claim_next(limit=2)) == 2
    wall.runtime.advance(30)
    wall.wait("first", "zen")
    wall.forget_alarms()
    wall.runtime.advance(31)
    assert wall.wait("second", "zen") == [messages[0]]
    assert wall.woken() == [("first", messages[1])]


def test_p4_a_claim_that_has_expired_is_not_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when more have expired than one call removes."""
    monkeypatch.setattr("saywhatwant.queue.waiting.MAX_DUE_PER_CALL", 1)
    wall = WaitingWall()
    for number in range(3):
        wall.wait(f"short {number}", "zen", left_ms=1_000)
    wall.wait("long", "zen")
    wall.runtime.advance(1)
    message = wall.ask(entity="zen")
    assert wall.woken() == [("long", message)]
    assert wall.tickets() == ["short 1", "short 2"]
    wall.wait("next", "rude")
    wall.wait("one more", "rude")
    assert wall.tickets() == ["next", "one more"]


def test_p4_no_ticket_outlives_the_longest_wait() -> None:
    wall = WaitingWall()
    wall.wait("for ever", "zen", left_ms=10**9)
    wall.runtime.advance(MAX_WAIT_SECONDS)
    wall.ask(entity="zen")
    assert (wall.woken(), wall.tickets()) == ([], [])


def test_a_claim_that_finds_something_leaves_no_ticket() -> None:
    """It may have one from before: another gateway was woken for the message, and has died."""
    wall = WaitingWall()
    for ticket in ("dead", "living"):
        wall.wait(ticket, "zen")
    message = wall.ask(entity="zen")
    assert wall.woken() == [("dead", message)]
    assert wall.tickets() == ["living"]
    assert wall.wait("living", "zen") == [message]
    assert wall.tickets() == []


def test_a_claim_that_waits_again_writes_nothing_and_keeps_its_place() -> None:
    wall = WaitingWall()
    wall.wait("first", "zen")
    wall.wait("second", "zen")
    writes = wall.runtime.meter.writes
    wall.wait("first", "zen", left_ms=1_000)
    assert wall.runtime.meter.writes == writes
    message = wall.ask(entity="zen")
    assert wall.woken() == [("first", message)]


def test_p4_a_cancelled_claim_is_not_woken_and_passes_on_what_it_was_woken_for() -> None:
    wall = WaitingWall()
    for ticket in ("gone", "leaver", "next"):
        wall.wait(ticket, "zen")
    wall.call(MessageQueue.cancel, "gone")
    message = wall.ask(entity="zen")
    assert wall.woken() == [("leaver", message)]
    wall.call(MessageQueue.cancel, "leaver", (message,))
    assert wall.woken() == [("next", message)]
    wall.call(MessageQueue.cancel, "next", (message, "unknown"))
    assert (wall.woken(), wall.tickets()) == ([], [])


def test_a_burst_wakes_no_claim_in_vain_in_whatever_order_the_claims_come() -> None:
    """Each takes the message that it was woken for, so that none finds its own gone."""
    wall = WaitingWall()
    for ticket, entities in (("a", ("zen", "rude")), ("b", ("zen", "rude")), ("c", ("zen", "rude"))):
        wall.wait(ticket, *entities)
    first, second = wall.ask(entity="zen"), wall.ask(entity="rude")
    assert wall.woken() == [("a", first), ("b", second)]
    wall.drop_memory()
    assert wall.wait("b", "zen", "rude", woken_for=(second,)) == [second]
    assert wall.wait("a", "zen", "rude", woken_for=(first,)) == [first]
    assert wall.woken() == []


def test_a_woken_claim_takes_a_message_of_better_priority_and_passes_its_own_on() -> None:
    wall = WaitingWall()
    wall.wait("either", "zen", "rude")
    wall.wait("zen", "zen")
    own = wall.ask(entity="zen")
    urgent = wall.ask(entity="rude", priority=49)
    assert wall.woken() == [("either", own)], "nobody else waits for rude"
    assert wall.wait("either", "zen", "rude", woken_for=(own,)) == [urgent]
    assert wall.woken() == [("zen", own)]


def test_a_woken_claim_that_takes_another_message_to_the_same_entity_passes_nothing_on() -> None:
    """The claim that was woken for that one comes and finds this one."""
    wall = WaitingWall()
    for ticket in ("a", "b", "c"):
        wall.wait(ticket, "zen")
    first, urgent = wall.ask(entity="zen"), wall.ask(entity="zen", priority=0)
    assert wall.woken() == [("a", first), ("b", urgent)]
    assert wall.wait("a", "zen", woken_for=(first,)) == [urgent]
    assert wall.wait("b", "zen", woken_for=(urgent,)) == [first]
    assert wall.woken() == []


def test_p4_a_woken_claim_whose_message_is_gone_takes_what_another_is_on_its_way_for() -> None:
    wall = WaitingWall()
    wall.wait("a", "zen")
    wall.wait("b", "zen")
    first, second = wall.ask(entity="zen"), wall.ask(entity="zen")
    wall.claim(first)
    assert wall.wait("a", "zen", woken_for=(first,)) == [second]


def test_a_message_to_anyone_is_for_the_entity_that_it_was_assigned_before() -> None:
    wall = WaitingWall()
    message = wall.ask(entity=None)
    (claimed,) = wall.claim_next(entities=("zen",))
    assert claimed.bot_params.assigned_entity == "zen"
    wall.claim(wall.ask(entity="rude"))
    wall.wait("rude", "rude")
    wall.wait("zen", "zen")
    wall.call(MessageQueue.release, message, "bot", 1)
    assert wall.woken() == [("zen", message)]


def test_p6_the_tickets_of_one_object_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.queue.waiting.MAX_TICKETS", 2)
    wall = WaitingWall()
    wall.wait("first", "zen")
    wall.wait("second", "zen", left_ms=1_000)
    with pytest.raises(TooManyWaiting):
        wall.wait("third", "zen")
    wall.wait("first", "zen")
    assert wall.wait("second", "zen") == []
    wall.runtime.advance(1)
    wall.wait("third", "zen")
    assert wall.tickets() == ["first", "third"]


def test_p4_the_tickets_of_a_gateway_s_last_life_are_replaced() -> None:
    wall = WaitingWall()
    for ticket in ("a/1/0", "a/1/1", "b/1/0", "another form"):
        wall.wait(ticket, "zen")
    wall.drop_memory()
    wall.wait("a/2/0", "zen")
    assert wall.tickets() == ["a/2/0", "another form", "b/1/0"]
    wall.wait("a/1/2", "zen")
    assert "a/2/0" in wall.tickets(), "a call of the old life that came late"


def test_a_post_costs_the_same_however_many_claims_wait_for_others() -> None:
    def calls_to_post(others: int) -> int:
        wall = WaitingWall()
        for number in range(others):
            wall.wait(f"other {number}", "rude", "eliza")
        wall.wait("zen", "zen")
        calls = 0

        def count(*_: object) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count)
        wall.ask(entity="zen")
        sys.setprofile(None)
        assert len(wall.woken()) == 1
        return calls

    calls_to_post(1)  # what is made once
    assert calls_to_post(100) <= calls_to_post(1) + 10, "a few more for sorted lists"
