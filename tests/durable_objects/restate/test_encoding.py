"""What Restate keeps is read by later versions: a journaled plan or need, and a stored head, as today's code writes them."""

from durable_objects.restate.encoding import (
    ANSWERS,
    HEAD,
    STEP,
    WAKE,
    Answers,
    HeldUp,
    Later,
    Needs,
    Plan,
    Sent,
    StoredHead,
    Wake,
)

PLAN = Plan(
    answers=ANSWERS.encode(Answers([], 7, 1)),
    head=HEAD.encode(StoredHead(7, b"n", alarm_at=9, wake_at=9)),
    writes={"a": b"1", "b": None},
    sends=[("N/x", Sent("N/y", [b"c"]))],
    later=[Later("alarm", WAKE.encode(Wake(9)), 9)],
    held_up=[("N/z", HeldUp("N/y", 2))],
)
PLAN_BYTES = (
    b'\x87\xa4type\xa4Plan\xa7answers\xc4.{"answers":[],"seq":7,"commits":1,"here":true}'
    b'\xa4head\xc4"\x84\xa3seq\x07\xa5nonce\xc4\x01n\xa8alarm_at\t\xa7wake_at\t'
    b"\xa6writes\x82\xa1a\xc4\x011\xa1b\xc0"
    b"\xa5sends\x91\x92\xa3N/x\x82\xa6sender\xa3N/y\xa5calls\x91\xc4\x01c"
    b"\xa5later\x91\x83\xa7handler\xa5alarm\xa8argument\xc4\x05\x81\xa2at\t\xa2at\t"
    b"\xa7held_up\x91\x92\xa3N/z\x82\xa8receiver\xa3N/y\xa5calls\x02"
)
NEEDS_BYTES = b"\x83\xa4type\xa5Needs\xa4keys\x91\xa1k\xa5names\xc3"


def test_a_plan_that_an_earlier_version_has_journaled_is_done() -> None:
    plan = STEP.decode(PLAN_BYTES)
    assert plan == PLAN
    assert isinstance(plan, Plan)
    assert ANSWERS.decode(plan.answers) == Answers([], 7, 1)
    assert plan.head is not None
    assert HEAD.decode(plan.head) == StoredHead(7, b"n", alarm_at=9, wake_at=9)
    assert WAKE.decode(plan.later[0].argument) == Wake(9)


def test_what_an_earlier_version_has_journaled_that_it_needs_is_loaded() -> None:
    assert STEP.decode(NEEDS_BYTES) == Needs(["k"], names=True)


def test_an_earlier_version_reads_what_this_one_writes() -> None:
    assert STEP.encode(PLAN) == PLAN_BYTES
