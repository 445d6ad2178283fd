"""Replies being written: bots send whole texts, subscribers get pieces and assemble the same text (P2)."""

import json
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.message import Status
from saywhatwant.queue.events import ChangedMessage, Event, WorkState
from saywhatwant.schemas import ProgressState
from saywhatwant.worker.progress import ENTRY_CHARS, ProgressTexts

ID, OTHER = "24spd5q8ti", "bok06k6pqj"


class Reader:
    """Puts replies together by the rule of the interface: 0 replaces, another offset appends to a text of that length."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, int], tuple[str, str]] = {}
        """Text and state of each attempt's reply."""

    def read(self, event: bytes) -> int:
        """Take one event; returns how many characters it carried."""
        piece = json.loads(event)
        assert piece["type"] == "progress"
        key = (piece["id"], piece["attempt"])
        text, state = self.replies.get(key, ("", ""))
        if piece["offset"] in {0, len(text)}:
            text, state = text[: piece["offset"]] + piece["text"], piece.get("state", "writing")
        self.replies[key] = (text, state)
        return len(piece["text"])


def sent(message_id: str, attempt: int, text: str, state: ProgressState = "writing") -> Event:
    return Event(type="progress", id=message_id, attempt=attempt, text=text, state=state)


def changed(message_id: str, status: Status, attempt: int) -> ChangedMessage:
    return ChangedMessage(message_id, 1, "Ada", "169080199", "human", WorkState(status, None, None, attempt))


WRITING = st.builds(
    sent,
    st.sampled_from([ID, OTHER]),
    st.integers(1, 2),
    st.text("ab \U0001f30c", max_size=6),
    st.sampled_from(get_args(ProgressState)),
)


@settings(max_examples=examples(300))
@given(writing=st.lists(WRITING, max_size=30), joins=st.integers(0, 30))
def test_p2_every_reader_has_the_whole_text_and_state_whenever_it_came(writing: list[Event], joins: int) -> None:
    progress, early, late = ProgressTexts(), Reader(), None
    whole: dict[tuple[str, int], tuple[str, str]] = {}
    last: dict[str, int] = {}
    for number, event in enumerate(writing):
        if number == joins:
            late = Reader()
            for known in progress.snapshot():
                late.read(known)
        key = (event.id, event.attempt)
        before = whole[key][0] if last.get(event.id) == event.attempt else ""
        delta = progress.delta(event)
        carried = early.read(delta)
        assert carried == (len(event.text) - len(before) if event.text.startswith(before) else len(event.text))
        whole[key], last[event.id] = (event.text, event.state), event.attempt
        assert early.replies == whole
        if late is not None:
            late.read(delta)
            assert all(late.replies[key] == whole[key] for key in last.items())


@pytest.mark.parametrize("ended", [("complete", 1), ("pending", 1), ("failed", 1), ("processing", 2)])
def test_p2_a_reply_is_forgotten_when_its_attempt_ends(ended: tuple[Status, int]) -> None:
    progress = ProgressTexts()
    progress.delta(sent(ID, 1, "Because"))
    progress.on_change(changed(OTHER, "complete", 1))
    progress.on_change(changed(ID, "processing", 1))
    assert len(progress) == 1
    progress.on_change(changed(ID, *ended))
    assert (len(progress), progress.snapshot(), progress.chars) == (0, [], 0)


def test_p6_the_texts_that_are_kept_are_bounded_and_the_longest_unchanged_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhatwant.worker.progress.MAX_PROGRESS_CHARS", 10 + 2 * ENTRY_CHARS)
    progress = ProgressTexts()
    progress.delta(sent(ID, 1, "1234"))
    progress.delta(sent(OTHER, 1, "1234"))
    progress.delta(sent(ID, 1, "123456"))
    assert len(progress) == 2
    progress.delta(sent(ID, 1, "1234567"))
    assert [json.loads(event)["id"] for event in progress.snapshot()] == [ID]
    assert json.loads(progress.delta(sent(OTHER, 1, "12")))["offset"] == 0, "a forgotten reply begins again with all of it"
    progress.delta(sent("another000", 1, "", "waking"))
    assert ID not in {json.loads(event)["id"] for event in progress.snapshot()}, "one without text takes room too"
    assert json.loads(progress.delta(sent(ID, 1, "x" * (2 * ENTRY_CHARS))))["offset"] == 0
    assert len(progress) == 0, "one that is too long by itself is never kept"
