"""Moderation: the object with the rules, the reviews, the reports and the audit log."""

import pytest
from msgspec.structs import replace
from rules_wall import ADA, RulesWall

from durable_objects.disk import Change, Writes
from saywhatwant import limits
from saywhatwant.errors import NotHeld, ReportsFull, ReviewFull, RulesFull, UnknownMessage, UnknownRule, WrongState
from saywhatwant.moderation import audit, held, reports
from saywhatwant.moderation import object as moderation_object
from saywhatwant.moderation.object import Moderation
from saywhatwant.moderation.rules import Subject

DAY = 86_400


@pytest.fixture
def wall() -> RulesWall:
    return RulesWall()


def smaller(monkeypatch: pytest.MonkeyPatch, **bounds: int) -> None:
    for module in (moderation_object, held, reports, audit):
        for name, bound in bounds.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, bound)


# -- Rules


def test_p1_rules_are_there_after_a_crash(wall: RulesWall) -> None:
    ban = wall.call(Moderation.ban, ADA, DAY, "olga", "insults")
    found = wall.call(Moderation.filter, "Spam", "hold", "olga", "")
    wall.call(Moderation.slow, 30, "olga", "")
    before = wall.call(Moderation.rules)
    wall.runtime.crash()
    assert wall.call(Moderation.rules) == before
    assert (before.bans, before.filters, before.slow_seconds) == ([ban], [found], 30)


def test_a_ban_ends_by_itself_and_its_row_is_gone(wall: RulesWall) -> None:
    wall.call(Moderation.ban, ADA, 60, "olga", "")
    wall.runtime.advance(59)
    assert len(wall.call(Moderation.rules).bans) == 1
    wall.runtime.advance(1)
    assert wall.call(Moderation.rules).bans == []
    rows = wall.runtime.disk.list("Moderation/moderation", "", "", 1_000)
    assert [key for key, _ in rows if key.startswith("rule/ban/")] == []


def test_many_bans_that_end_together_are_all_dropped(wall: RulesWall) -> None:
    for number in range(2 * limits.MAX_DUE_PER_CALL + 1):
        wall.call(Moderation.ban, Subject(address=f"192.0.2.{number}/32"), 60, "olga", "")
    wall.runtime.advance(60)
    rows = wall.runtime.disk.list("Moderation/moderation", "", "", 1_000)
    assert [key for key, _ in rows if key.startswith("rule/ban/")] == []


def test_p7_a_repeated_rule_replaces_itself(wall: RulesWall) -> None:
    first = wall.call(Moderation.ban, ADA, 60, "olga", "")
    again = wall.call(Moderation.ban, ADA, DAY, "olga", "")
    assert again.id == first.id
    assert wall.call(Moderation.rules).bans == [again]
    for phrase in ("Buy now", "buy, NOW"):
        wall.call(Moderation.filter, phrase, "refuse", "olga", "")
    assert [found.phrase for found in wall.call(Moderation.rules).filters] == ["buy, NOW"]
    wall.call(Moderation.unfilter, "BUY NOW", "olga", "")
    assert wall.call(Moderation.rules).filters == []


def test_people_of_one_name_and_color_are_told_apart_by_the_tail(wall: RulesWall) -> None:
    wall.call(Moderation.ban, ADA, 60, "olga", "")
    wall.call(Moderation.ban, replace(ADA, color_tail="Ab3dE5gH1j"), 60, "olga", "")
    assert len(wall.call(Moderation.rules).bans) == 2


def test_p8_what_is_not_there_cannot_be_removed(wall: RulesWall) -> None:
    ban = wall.call(Moderation.ban, ADA, 60, "olga", "")
    wall.call(Moderation.unban, ban.id, "olga", "")
    with pytest.raises(UnknownRule, match=ban.id):
        wall.call(Moderation.unban, ban.id, "olga", "")
    with pytest.raises(UnknownRule, match="spam"):
        wall.call(Moderation.unfilter, "spam", "olga", "")


def test_p8_there_are_as_many_rules_as_may_be_and_no_more(wall: RulesWall, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller(monkeypatch, MAX_BANS=2, MAX_FILTERS=2)
    for number in range(2):
        wall.call(Moderation.ban, Subject(address=f"192.0.2.{number}/32"), 60, "olga", "")
        wall.call(Moderation.filter, f"word {number}", "hold", "olga", "")
    with pytest.raises(RulesFull):
        wall.call(Moderation.ban, ADA, 60, "olga", "")
    with pytest.raises(RulesFull):
        wall.call(Moderation.filter, "another", "hold", "olga", "")
    wall.runtime.advance(60)
    wall.call(Moderation.ban, ADA, 60, "olga", "")


# -- Review


def test_p7_a_repeated_decision_does_nothing_and_the_other_one_is_refused(wall: RulesWall) -> None:
    one, other = wall.hold().id, wall.hold().id
    place = wall.place_of(one)
    for _ in range(2):
        wall.call(Moderation.approve, one, place, "olga", "")
        wall.call(Moderation.reject, other, place, "olga", "")
    assert wall.ids() == [one]
    with pytest.raises(WrongState, match="approved"):
        wall.call(Moderation.reject, one, place, "olga", "")
    with pytest.raises(WrongState, match="rejected"):
        wall.call(Moderation.approve, other, place, "olga", "")
    with pytest.raises(NotHeld):
        wall.call(Moderation.approve, "nosuchid00", place, "olga", "")
    decided = [entry.action for entry in wall.call(Moderation.audit, 10)]
    assert decided == ["reject", "approve"]


def test_p6_when_the_review_is_full_new_posts_are_refused_and_none_is_dropped(
    wall: RulesWall, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller(monkeypatch, MAX_HELD=2)
    kept = [wall.hold().id, wall.hold().id]
    with pytest.raises(ReviewFull):
        wall.call(Moderation.check_room)
    kept.append(wall.hold().id)  # was on its way when the last place was taken
    assert sorted(wall.waiting()) == sorted(kept)
    for message_id in kept[:2]:
        wall.reject(message_id)
    wall.call(Moderation.check_room)


def test_a_row_of_the_order_without_its_post_hides_nothing(wall: RulesWall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier versions left such rows where an id was held twice."""
    monkeypatch.setattr(moderation_object, "MAX_REVIEW", 1)
    wall.hold(id="myownid")
    rows: Writes = {f"waiting/{at:015d}/{post}": b"" for at, post in ((0, "gone"), (1, "myownid"))}
    head = wall.runtime.disk.head("Moderation/moderation")
    wall.runtime.disk.apply([Change("Moderation/moderation", rows, head)])
    wall.runtime.crash()
    assert wall.waiting() == ["myownid"]
    wall.reject("myownid")
    later = wall.hold()
    assert wall.waiting() == [later.id]


def test_the_post_that_has_waited_longest_comes_first(wall: RulesWall) -> None:
    kept = []
    for _ in range(3):
        kept.append(wall.hold().id)
        wall.runtime.advance(1)
    assert wall.waiting() == kept


def test_decisions_are_remembered_up_to_their_bound(wall: RulesWall, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller(monkeypatch, MAX_DECISIONS=2)
    kept = [wall.hold().id for _ in range(3)]
    place = wall.place_of(kept[0])
    for message_id in kept:
        wall.reject(message_id)
    wall.runtime.crash()
    wall.call(Moderation.reject, kept[2], place, "olga", "")
    with pytest.raises(NotHeld):
        wall.call(Moderation.reject, kept[0], place, "olga", "")


# -- Reports


def test_p7_a_client_reports_a_message_once(wall: RulesWall) -> None:
    for client, reason in (("a", "rude"), ("a", "very rude"), ("b", ""), ("c", "spam")):
        wall.call(Moderation.report, "message1", client, reason)
    (found,) = wall.call(Moderation.overview).reported
    assert (found.message_id, found.clients, found.reasons) == ("message1", ["a", "b", "c"], ["rude", "spam"])


def test_p8_reports_are_refused_at_their_bounds(wall: RulesWall, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller(monkeypatch, MAX_REPORTED=2, MAX_REPORTS_OF_ONE=2)
    for client in ("a", "b"):
        wall.call(Moderation.report, "message1", client, "")
    with pytest.raises(ReportsFull):
        wall.call(Moderation.report, "message1", "c", "")
    wall.call(Moderation.report, "message2", "a", "")
    with pytest.raises(ReportsFull):
        wall.call(Moderation.report, "message3", "a", "")
    wall.call(Moderation.dismiss, "message1", "olga", "nothing wrong")
    wall.call(Moderation.report, "message3", "a", "")
    with pytest.raises(UnknownMessage):
        wall.call(Moderation.dismiss, "message1", "olga", "")


def test_reports_are_dropped_by_their_age(wall: RulesWall, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller(monkeypatch, MAX_REPORTED=2)
    wall.call(Moderation.report, "message1", "a", "")
    wall.call(Moderation.report, "message2", "a", "")
    wall.runtime.advance(limits.REPORT_SECONDS)
    assert wall.call(Moderation.overview).reported == []
    wall.call(Moderation.report, "message1", "a", "again")
    (found,) = wall.call(Moderation.overview).reported
    assert found.reasons == ["again"]
    wall.call(Moderation.report, "message3", "a", "")
    assert wall.call(Moderation.overview).reported_count == 2


def test_reports_of_a_message_that_is_hidden_or_erased_are_done_with(wall: RulesWall) -> None:
    for action, left in (("restore", 1), ("hide", 0)):
        wall.call(Moderation.report, "message1", "a", "")
        wall.call(Moderation.record, "olga", action, "message1", "")
        assert wall.call(Moderation.overview).reported_count == left


def test_the_first_key_of_reports_stays(wall: RulesWall) -> None:
    assert wall.call(Moderation.report_key, "one") == "one"
    wall.runtime.crash()
    assert wall.call(Moderation.report_key, "two") == "one"


# -- Audit


def test_the_audit_log_is_a_ring_that_is_read_newest_first(wall: RulesWall, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller(monkeypatch, MAX_AUDIT=3)
    for number in range(1, 6):
        wall.call(Moderation.record, "olga", "retry", f"message{number}", "")
    wall.runtime.crash()
    numbers = [entry.number for entry in wall.call(Moderation.audit, 10)]
    assert numbers == [5, 4, 3]
    assert [entry.number for entry in wall.call(Moderation.audit, 1, 5)] == [4]
    assert [entry.about for entry in wall.call(Moderation.audit, 10, 4)] == ["message3"]
    assert wall.call(Moderation.audit, 10, 3) == []
    rows = wall.runtime.disk.list("Moderation/moderation", "audit/", "", 1_000)
    assert len(rows) == 3


def test_who_did_what_to_whom_and_why(wall: RulesWall) -> None:
    ban = wall.call(Moderation.ban, ADA, 60, "olga", "insults")
    wall.call(Moderation.unban, ban.id, "peter", "")
    wall.call(Moderation.filter, "spam", "refuse", "olga", "")
    wall.call(Moderation.unfilter, "spam", "olga", "")
    wall.call(Moderation.slow, 10, "olga", "a flood")
    wall.reject(held_id := wall.hold().id)
    log = [(entry.by, entry.action, entry.about, entry.reason) for entry in reversed(wall.call(Moderation.audit, 10))]
    assert log == [
        ("olga", "ban", "Ada 204120051 for 60 s", "insults"),
        ("peter", "unban", "Ada 204120051", ""),
        ("olga", "filter", "spam (refuse)", ""),
        ("olga", "unfilter", "spam", ""),
        ("olga", "slow", "10 s", "a flood"),
        ("olga", "reject", held_id, ""),
    ]


def test_every_bound_of_a_row_keeps_it_below_what_storage_takes(wall: RulesWall) -> None:
    """The longest report, ban, filter and audit entry."""
    wide = "\U0001f600"
    reason = wide * limits.MAX_REASON
    for number in range(limits.MAX_REPORTS_OF_ONE):
        wall.call(Moderation.report, "m" * 32, f"{number:016}", wide * limits.MAX_REPORT_REASON)
    wall.call(Moderation.ban, Subject(username=wide * 32, color="0" * 9, color_tail="A" * 10), DAY, "o" * 64, reason)
    wall.call(Moderation.filter, "ﷺ" * limits.MAX_PHRASE, "hold", "o" * 64, reason)
    ids = " ".join(["m" * 32] * limits.MAX_BATCH)
    wall.call(Moderation.record, "o" * 64, "discard", ids, "x" * limits.MAX_ERROR)
    assert wall.call(Moderation.overview).reported[0].reasons[-1] == wide * limits.MAX_REPORT_REASON
