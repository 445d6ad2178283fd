"""Replies being written: bots send whole texts, subscribers get pieces and assemble the same text (P2)."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.message import Status
from saywhatwant.queue.events import ChangedMessage, WorkState
from saywhatwant.worker.progress import ProgressTexts

ID, OTHER = "24spd5q8ti", "bok06k6pqj"


class Reader:
    """Puts replies together by the rule of the interface: 0 replaces, another offset appends to a text of that length."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, int], str] = {}

    def read(self, event: bytes) -> int:
        """Take one event; returns how many characters it carried."""
        piece = json.loads(event)
        assert piece["type"] == "progress"
        key = (piece["id"], piece["attempt"])
        if piece["offset"] in {0, len(self.texts.get(key, ""))}:
            self.texts[key] = self.texts.get(key, "")[: piece["offset"]] + piece["text"]
        return len(piece["text"])


def changed(message_id: str, status: Status, attempt: int) -> ChangedMessage:
    return ChangedMessage(message_id, 1, WorkState(status, None, None, attempt))


WRITING = st.tuples(st.sampled_from([ID, OTHER]), st.integers(1, 2), st.text("ab \U0001f30c", min_size=1, max_size=6))


@settings(max_examples=examples(300))
@given(writing=st.lists(WRITING, max_size=30), joins=st.integers(0, 30))
def test_p2_every_reader_has_the_whole_text_whenever_it_came(writing: list[tuple[str, int, str]], joins: int) -> None:
    progress, early, late = ProgressTexts(), Reader(), None
    whole: dict[tuple[str, int], str] = {}
    last: dict[str, int] = {}
    for number, (message_id, attempt, text) in enumerate(writing):
        if number == joins:
            late = Reader()
            for event in progress.snapshot():
                late.read(event)
        known = whole.get((message_id, attempt), "") if last.get(message_id) == attempt else ""
        event = progress.delta(message_id, attempt, text)
        carried = early.read(event)
        assert carried == (len(text) - len(known) if text.startswith(known) else len(text))
        whole[message_id, attempt], last[message_id] = text, attempt
        assert early.texts == whole
        if late is not None:
            late.read(event)
            assert all(late.texts[key] == whole[key] for key in last.items())


@pytest.mark.parametrize("ended", [("complete", 1), ("pending", 1), ("failed", 1), ("processing", 2)])
def test_p2_a_reply_is_forgotten_when_its_attempt_ends(ended: tuple[Status, int]) -> None:
    progress = ProgressTexts()
    progress.delta(ID, 1, "Because")
    progress.on_change(changed(OTHER, "complete", 1))
    progress.on_change(changed(ID, "processing", 1))
    assert len(progress) == 1
    progress.on_change(changed(ID, *ended))
    assert (len(progress), progress.snapshot(), progress._chars) == (0, [], 0)


def test_p6_the_texts_that_are_kept_are_bounded_and_the_longest_unchanged_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.worker.progress.MAX_PROGRESS_CHARS", 10)
    progress = ProgressTexts()
    progress.delta(ID, 1, "1234")
    progress.delta(OTHER, 1, "1234")
    progress.delta(ID, 1, "123456")
    assert len(progress) == 2
    progress.delta(ID, 1, "1234567")
    assert [json.loads(event)["id"] for event in progress.snapshot()] == [ID]
    assert json.loads(progress.delta(OTHER, 1, "12345"))["offset"] == 0, "a forgotten reply begins again with all of it"
    assert json.loads(progress.delta(ID, 1, "x" * 11))["offset"] == 0
    assert len(progress) == 0, "one that is too long by itself is never kept"
