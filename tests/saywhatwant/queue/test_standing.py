"""Bots on sockets: a message is handed to a free hand in the commit that makes it claimable (P3, P4)."""

import pytest
from standing_wall import StandingWall, ids

from saywhatwant.errors import NotTheHolder, TooManyWaiting, WrongState
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.waiting import Wait
from saywhatwant.schemas import BatchRequest, Reply


def test_a_post_is_handed_over_in_its_own_commit_and_in_one_row() -> None:
    wall = StandingWall()
    wall.stand("one")
    seq, writes = wall.runtime.meter.commits, wall.runtime.meter.writes
    message = wall.ask(entity="zen")
    assert wall.handed() == [("one", message)]
    assert (wall.runtime.meter.commits - seq, wall.runtime.meter.writes - writes) == (1, 1)
    params = wall.params(message)
    assert (params.status, params.claimed_by, params.attempt, params.socket) == ("processing", "bot of one", 1, "one")


def test_a_round_trip_is_two_commits_and_three_rows() -> None:
    wall = StandingWall()
    wall.stand("one")
    commits, writes, deletes = wall.runtime.meter.commits, wall.runtime.meter.writes, wall.runtime.meter.deletes
    wall.answer_at("one", wall.ask())
    assert wall.runtime.meter.commits - commits == 2
    assert (wall.runtime.meter.writes - writes, wall.runtime.meter.deletes - deletes) == (3, 0)


def test_a_gateway_gets_the_claim_without_a_commit() -> None:
    wall = StandingWall()
    wall.stand("one")
    earlier = wall.ask("What is black?", entity="zen")
    wall.answer_at("one", earlier)
    message = wall.ask("And white?", entity="zen")
    commits = wall.runtime.meter.commits
    claim = wall.call(MessageQueue.held, message, 1, 10)
    assert isinstance(claim.talks, dict)
    assert [turn.count(b'"text"') for turn in map(bytes, claim.talks[message].turns)] == [1, 1]
    assert wall.runtime.meter.commits == commits
    wall.answer_at("one", message)
    with pytest.raises(WrongState):
        wall.call(MessageQueue.held, message, 1, 10)


def test_p4_every_way_to_become_claimable_hands_over_in_its_commit() -> None:
    """A post, a release, a retry, the end of a backoff, and the end of a lease."""
    wall = StandingWall(backoff_ms=1_000, max_attempts=5)
    message = wall.ask(entity="zen")
    wall.claim(message)
    wall.stand("one")
    wall.call(MessageQueue.release, message, "bot", 1)
    assert wall.handed() == [("one", message)]
    wall.call(MessageQueue.fail, message, "bot of one", 2, "no words")
    assert wall.handed() == []
    wall.runtime.advance(2)
    assert wall.handed() == [("one", message)], "the backoff is over"
    wall.call(MessageQueue.fail, message, "bot of one", 3, "no words", retry=False)
    wall.handed()
    wall.call(MessageQueue.retry, message)
    assert wall.handed() == [("one", message)]
    wall.leave("one")
    wall.claim(message)
    wall.stand("two")
    wall.handed()
    wall.runtime.advance(61)
    assert wall.handed() == [("two", message)], "the lease is over"


def test_a_hand_that_gets_free_takes_the_most_urgent_message_in_the_same_commit() -> None:
    wall = StandingWall()
    wall.stand("one")
    first = wall.ask()
    later, urgent, other = wall.ask(priority=9), wall.ask(priority=1), wall.ask(priority=9)
    wall.handed()
    commits = wall.runtime.meter.commits
    wall.answer_at("one", first)
    assert wall.handed() == [("one", urgent)]
    assert wall.runtime.meter.commits == commits + 1
    wall.call(MessageQueue.fail, urgent, "bot of one", 1, "no words", retry=False)
    assert wall.handed() == [("one", later)]
    wall.call(MessageQueue.batch, BatchRequest(action="fail", message_ids=[later]))
    assert wall.handed() == [("one", other)], "an operator has ended the one before"


def test_a_bot_holds_no_more_of_an_entity_than_it_has_hands_for_it() -> None:
    wall = StandingWall()
    wall.stand("one", 3, entities={"zen": 2, "rude": 2})
    zen = [wall.ask(entity="zen") for _ in range(3)]
    rude = [wall.ask(entity="rude") for _ in range(3)]
    eliza = wall.ask(entity="eliza")
    assert wall.handed() == [("one", zen[0]), ("one", zen[1]), ("one", rude[0])]
    for drop in (False, True):
        if drop:
            wall.drop_memory()
        wall.answer_at("one", rude.pop(0))
        assert wall.handed() == [("one", rude[0])], "it has no more hands for zen, which waits longer"
    wall.answer_at("one", zen[0])
    assert wall.handed() == [("one", zen[2])]
    assert wall.params(eliza).status == "pending"


def test_a_message_to_anyone_is_assigned_an_entity_with_a_free_hand() -> None:
    wall = StandingWall()
    wall.stand("one", 2, entities={"zen": 1, "rude": 1})
    wall.ask(entity="zen")
    message = wall.ask()
    assert wall.params(message).assigned_entity == "rude"
    third = wall.ask()
    assert wall.params(third).status == "pending"


def test_a_message_to_anyone_goes_to_the_bot_whose_entity_its_author_talked_with_last() -> None:
    wall = StandingWall()
    wall.stand("rude", entities={"rude": 1})
    wall.stand("zen", entities={"zen": 1})
    wall.answer_at("zen", wall.ask(entity="zen", username="Ann"))
    wall.handed()
    message = wall.ask(username="Ann")
    assert wall.handed() == [("zen", message)]
    assert wall.params(message).assigned_entity == "zen"


def test_work_spreads_over_the_bots_in_the_order_in_which_hands_became_free() -> None:
    wall = StandingWall()
    for socket in ("one", "two"):
        wall.stand(socket, 2, entities={"zen": 2})
    messages = [wall.ask(entity="zen") for _ in range(4)]
    assert [socket for socket, _ in wall.handed()] == ["one", "two", "one", "two"]
    wall.answer_at("two", messages[1])
    wall.answer_at("one", messages[0])
    messages = [wall.ask(entity="zen") for _ in range(2)]
    assert wall.handed() == [("two", messages[0]), ("one", messages[1])]


def test_waiting_claims_and_bots_on_sockets_stand_in_one_line() -> None:
    wall = StandingWall()
    waiting = wall.call(MessageQueue.claim_next, "poller", ("zen",), wait=Wait("first", 60_000))
    assert waiting.messages == []
    wall.stand("second", entities={"zen": 1})
    wall.runtime.advance(1)
    wall.call(MessageQueue.claim_next, "poller", None, wait=Wait("third", 50_000))
    messages = [wall.ask(entity="zen") for _ in range(3)]
    assert wall.woken() == [("first", messages[0]), ("third", messages[2])]
    assert [wall.params(message).socket for message in messages[1:2]] == ["second"]


def test_p3_a_hand_over_is_an_attempt_and_the_earlier_holder_is_refused() -> None:
    wall = StandingWall()
    message = wall.ask()
    wall.claim(message, "slow")
    wall.stand("one")
    wall.runtime.advance(61)
    assert wall.params(message).attempt == 2
    with pytest.raises(NotTheHolder):
        wall.call(MessageQueue.complete, message, "slow", 1, Reply("Late."))
    wall.answer_at("one", message)
    assert len(wall.answers_to(message)) == 1


def test_what_a_bot_holds_goes_back_when_its_socket_ends_and_costs_no_attempt() -> None:
    wall = StandingWall()
    wall.stand("one", 2)
    messages = [wall.ask() for _ in range(2)]
    wall.stand("two")
    wall.handed()
    wall.leave("one")
    assert wall.handed() == [("two", messages[0])]
    first, second = map(wall.params, messages)
    assert (first.attempt, first.tries, second.status, second.tries) == (2, 1, "pending", 0)
    assert wall.stands() == ["two"]
    wall.leave("one")
    assert wall.handed() == [], "a second end does nothing"


def test_a_bot_that_comes_back_goes_on_with_what_it_holds_and_gives_back_the_rest() -> None:
    """Its gateway has died, and did not say so."""
    wall = StandingWall()
    wall.stand("old", 3)
    known, unseen = wall.ask(), wall.ask()
    held = wall.stand("new", 1, worker_id="bot of old", holds=[(known, 1)], resumes="old")
    assert held == [(known, 1)]
    assert wall.stands() == ["new"]
    assert (wall.params(known).attempt, wall.params(unseen).status) == (1, "pending")
    wall.call(MessageQueue.complete, known, "bot of old", 1, Reply("Because."))
    assert wall.params(unseen).socket == "new"


def test_a_bot_that_comes_back_gets_first_what_was_given_back_for_it() -> None:
    """Its socket was cut, and its gateway has given everything back: nobody else has taken it, so it can go on."""
    wall = StandingWall()
    wall.stand("old")
    message = wall.ask(priority=9)
    wall.leave("old")
    wall.ask(priority=1)
    assert wall.stand("new", worker_id="bot of old", holds=[(message, 1)], resumes="old") == [(message, 2)]
    assert wall.params(message).tries == 1
    assert wall.stand("late", worker_id="bot of old", holds=[(message, 1)]) != [(message, 1)], "P3: attempt 1 is over"


def test_p3_a_bot_that_comes_back_does_not_get_the_attempt_of_its_namesake() -> None:
    wall = StandingWall()
    wall.stand("old")
    message = wall.ask()
    wall.leave("old")
    wall.claim(message, "bot of old")
    assert wall.stand("new", worker_id="bot of old", holds=[(message, 1)], resumes="old") == []


def test_a_server_that_stops_leaves_the_bots_their_messages_for_an_ordinary_lease() -> None:
    wall = StandingWall(lease_ms=60_000, socket_lease_ms=300_000)
    wall.stand("one")
    message = wall.ask()
    now = wall.runtime.now_ms
    assert wall.params(message).lease_expires_at == now + 300_000
    wall.leave("one", give_back=False)
    params = wall.params(message)
    assert (params.status, params.attempt, params.lease_expires_at) == ("processing", 1, now + 60_000)
    assert wall.stand("two", worker_id="bot of one", holds=[(message, 1)]) == [(message, 1)]
    assert wall.params(message).lease_expires_at == now + 300_000


def test_p4_a_bot_that_comes_back_gives_back_what_it_never_got_though_its_server_has_ended_its_socket() -> None:
    wall = StandingWall(lease_ms=60_000)
    wall.stand("one", 2)
    seen, unseen = wall.ask(), wall.ask()
    wall.leave("one", give_back=False)
    held = wall.stand("two", 2, worker_id="bot of one", holds=[(seen, 1)], resumes="one")
    assert held == [(seen, 1), (unseen, 2)]
    assert wall.params(unseen).tries == 1


def test_a_heartbeat_without_a_socket_that_stands_is_for_an_ordinary_lease() -> None:
    """As of a bot that goes on with long polls, since its proxy has no sockets any more."""
    wall = StandingWall(lease_ms=60_000, socket_lease_ms=300_000)
    wall.stand("one")
    message = wall.ask()
    wall.leave("one", give_back=False)
    wall.runtime.advance(30)
    wall.call(MessageQueue.extend, message, "bot of one", 1)
    assert wall.params(message).lease_expires_at == wall.runtime.now_ms + 60_000


def test_a_gateway_that_starts_again_ends_what_stood_at_its_former_life() -> None:
    wall = StandingWall(lease_ms=60_000, socket_lease_ms=300_000)
    wall.stand("past", life=1)
    wall.stand("elsewhere", gateway="there", life=1)
    message = wall.ask()
    assert wall.params(message).socket == "past"
    wall.stand("present", life=2)
    assert wall.stands() == ["elsewhere", "present"]
    wall.runtime.advance(59)
    assert wall.params(message).attempt == 1, "its bot may still answer"
    wall.runtime.advance(2)
    assert wall.params(message).socket == "elsewhere"


def test_a_bot_whose_lease_runs_out_stands_no_more() -> None:
    """It is dead, or it stands again when its gateway gets the event."""
    wall = StandingWall(socket_lease_ms=20_000)
    wall.stand("dead")
    message = wall.ask()
    wall.runtime.advance(21)
    params = wall.params(message)
    assert (params.status, params.attempt, wall.stands()) == ("pending", 1, [])
    assert wall.stand("dead") == [(message, 2)]


def test_hands_change_and_zero_takes_no_more() -> None:
    wall = StandingWall()
    wall.stand("one", 2)
    message = wall.ask()
    wall.stand("one", 0)
    pending = wall.ask()
    assert wall.params(message).socket == "one"
    assert wall.params(pending).status == "pending"
    wall.answer_at("one", message)
    assert wall.params(pending).status == "pending"
    assert wall.stand("one", 1) == [(pending, 1)]


def test_a_bot_that_stands_again_unchanged_writes_nothing() -> None:
    wall = StandingWall()
    wall.stand("one")
    commits = wall.runtime.meter.commits
    wall.stand("one")
    assert wall.runtime.meter.commits == commits


def test_a_heartbeat_keeps_the_longer_lease() -> None:
    wall = StandingWall(lease_ms=60_000, socket_lease_ms=300_000)
    wall.stand("one")
    message = wall.ask()
    wall.runtime.advance(200)
    wall.call(MessageQueue.extend, message, "bot of one", 1)
    assert wall.params(message).lease_expires_at == wall.runtime.now_ms + 300_000


def test_stats_show_who_is_waited_for_also_while_no_hand_is_free() -> None:
    wall = StandingWall()
    wall.stand("one", 1, entities={"zen": 1, "rude": 1})
    for _ in range(2):
        assert wall.call(MessageQueue.stats, ("zen", "rude", "eliza")).waited_for == ["zen", "rude"]
        wall.ask(entity="zen")
    wall.stand("one", 0)
    assert wall.call(MessageQueue.stats, ("zen", "rude")).waited_for == []


def test_too_many_bots_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.queue.claims.MAX_TICKETS", 2)
    wall = StandingWall()
    wall.stand("one")
    wall.call(MessageQueue.claim_next, "poller", None, wait=Wait("ticket", 60_000))
    with pytest.raises(TooManyWaiting):
        wall.stand("two")
    wall.stand("one", 2)


def test_a_claim_by_id_or_of_the_next_takes_what_no_hand_is_free_for() -> None:
    wall = StandingWall()
    wall.stand("one")
    wall.ask()
    pending = wall.ask()
    claimed = wall.call(MessageQueue.claim_next, "poller", None, 5)
    assert ids(claimed.messages) == [pending]
