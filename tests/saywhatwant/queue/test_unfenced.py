"""P3 for clients that name no attempt: they claim through the original's dialect, and so does nobody else at that moment."""

import pytest
from msgspec import UNSET
from queue_wall import Wall, answer_to

from saywhatwant.errors import AttemptRequired
from saywhatwant.queue import MessageQueue


def test_p3_a_call_without_attempt_is_good_only_while_its_own_claim_was_unfenced() -> None:
    wall = Wall(lease_ms=1_000)
    asked = wall.ask()
    wall.claim(asked, "first")
    wall.runtime.advance(2)
    wall.call(MessageQueue.claim, asked, "original", unfenced=True)
    assert wall.params(asked).unfenced is True
    wall.runtime.advance(2)
    wall.claim(asked, "fenced")
    assert wall.params(asked).unfenced is UNSET
    with pytest.raises(AttemptRequired, match="at attempt 3"):
        wall.call(MessageQueue.complete, asked, "original")
    with pytest.raises(AttemptRequired, match="at attempt 3"):
        wall.call(MessageQueue.post, answer_to(asked))


def test_p3_an_unfenced_claim_may_be_completed_without_its_attempt() -> None:
    wall = Wall(lease_ms=1_000)
    asked = wall.ask()
    wall.claim(asked, "first")
    wall.runtime.advance(2)
    wall.call(MessageQueue.claim_next, "original", unfenced=True)
    first = wall.answer(asked)
    wall.call(MessageQueue.complete, asked)
    assert wall.params(asked).answered_by == first.id
    assert wall.params(asked).status == "complete"
