"""Hide, restore and erase among all other calls, commits, crashes and clocks: what operators hide nobody sees, and P1 to P7."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from msgspec import UNSET
from msgspec.structs import replace
from queue_model import Promises
from queue_states import FINISHED, Known, Moment, Ticket
from test_queue_machine import PICK, WALL, QueueMachine

from durable_objects import Refusal
from profiles import examples
from saywhatwant.message import Message, NewMessage, Posted, decode, decode_list
from saywhatwant.moderation.schemas import HiddenMessage, ModerationResponse
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.hidden import ENDED, NAMELESS
from saywhatwant.queue.read_cache import Page
from saywhatwant.schemas import CompleteResponse, Talk

Shown = Literal["visible", "hidden", "erased"]


@dataclass
class HidingPromises(Promises):
    shown: dict[str, Shown] = field(default_factory=dict)
    """What was last done to each message that is not visible."""
    nameless: set[str] = field(default_factory=set)

    def is_visible(self, message_id: str) -> bool:
        return self.shown.get(message_id, "visible") == "visible"

    # -- The calls of those who moderate

    def judge_hide(
        self, message_id: str, moment: Moment, outcome: ModerationResponse | Refusal, *, name: bool, erase: bool
    ) -> None:
        known = self._find(message_id, moment, outcome)
        if known is None:
            return
        assert isinstance(outcome, ModerationResponse), "any message can be hidden and erased"
        if erase:
            self.shown[known.id] = "erased"
        elif self.shown.get(known.id) != "erased":
            self.shown[known.id] = "hidden"
        if name and (erase or self.shown[known.id] == "hidden"):
            self.nameless.add(known.id)
        message = decode(outcome.message)
        self.judge_shown(message)
        self._end(known, message, moment)

    def _end(self, known: Known, message: Message, moment: Moment) -> None:
        """A hidden message is not work any more."""
        params, states = message.bot_params, self._may_be(known, moment)
        assert params.status in FINISHED, "nobody works on a hidden message"
        assert params.status == ("complete" if known.answer or known.state == "complete" else "failed"), "P4"
        if not known.finished:
            assert params.error in {ENDED, None} or states & FINISHED, "P4: failed with the reason on it"
            known.error = "nobody answered" if (params.error or "").startswith("nobody answered") else params.error
            known.state, known.not_before, known.number = params.status, None, moment.number
            known.claims, known.maybe_released = params.tries, False

    def judge_restore(self, message_id: str, moment: Moment, outcome: ModerationResponse | Refusal) -> None:
        known = self._find(message_id, moment, outcome)
        if known is None:
            return
        if self.shown.get(message_id) == "erased":
            assert isinstance(outcome, Refusal), "what is erased is gone for good"
            return
        assert isinstance(outcome, ModerationResponse)
        self.shown.pop(message_id, None)
        self.nameless.discard(message_id)
        self.judge_shown(decode(outcome.message))

    def judge_hidden(self, message_id: str, moment: Moment, outcome: HiddenMessage | Refusal) -> None:
        known = self._find(message_id, moment, outcome)
        if known is None:
            return
        if self.shown.get(message_id) == "hidden":
            assert isinstance(outcome, HiddenMessage)
            assert (outcome.text, outcome.username) == (known.new.text, known.new.username), "operators can read it"
        else:
            assert isinstance(outcome, Refusal)

    # -- What everybody sees

    def judge_shown(self, message: Message) -> None:
        """A message as somebody sees it after all calls so far."""
        new, state = self.known[message.id].new, self.shown.get(message.id, "visible")
        assert message.text == (new.text if state == "visible" else ""), "a hidden text was seen, or a visible one was not"
        assert message.username == (NAMELESS if message.id in self.nameless else new.username)
        assert (message.hidden is UNSET, message.erased is UNSET) == (state == "visible", state != "erased")

    def _judge_message(self, known: Known, message: Message, moment: Moment) -> None:
        self.judge_shown(message)
        super()._judge_message(known, replace(message, text=known.new.text, username=known.new.username), moment)

    def _judge_talks(self, taken: Sequence[Message], talks: Mapping[str, Talk]) -> None:
        super()._judge_talks(taken, talks)
        for talk in talks.values():
            for turn in map(decode, talk.turns):
                assert self.is_visible(turn.id), "a hidden turn is part of no prompt"
                self.judge_shown(turn)

    # -- What hiding changes for others

    def _judge_answer(self, new: NewMessage, reply_to: str, moment: Moment, outcome: Posted | Refusal) -> None:
        if self.is_visible(reply_to) or self.known[reply_to].answer is not None:
            super()._judge_answer(new, reply_to, moment, outcome)
        elif self._find(reply_to, moment, outcome) is not None:
            assert isinstance(outcome, Refusal), "no answer appears to a hidden question"

    def judge_complete(
        self, ticket: Ticket, reply: NewMessage | None, moment: Moment, outcome: CompleteResponse | Refusal, *, fenced: bool
    ) -> None:
        known = self.known[ticket.message_id]
        if self.is_visible(known.id) or known.answer is not None or reply is None:
            super().judge_complete(ticket, reply, moment, outcome, fenced=fenced)
        elif self._find(known.id, moment, outcome) is not None:
            assert isinstance(outcome, Refusal), "no answer appears to a hidden question"

    def judge_retry(self, message_id: str, moment: Moment, outcome: Refusal | None) -> None:
        if self.is_visible(message_id):
            super().judge_retry(message_id, moment, outcome)
        elif self._find(message_id, moment, outcome) is not None:
            assert isinstance(outcome, Refusal), "a hidden message is no work again"

    def learn(self, messages: Iterable[Message], unanswered: Iterable[tuple[NewMessage, str | None]], moment: Moment) -> None:
        found = list(messages)
        super().learn(found, unanswered, moment)
        for message in found:
            self.nameless.discard(message.id)
            self.shown.pop(message.id, None)
            if message.hidden is not UNSET:
                self.shown[message.id] = "hidden" if message.erased is UNSET else "erased"
                if message.username == NAMELESS:
                    self.nameless.add(message.id)


class HidingMachine(QueueMachine):
    promises: HidingPromises

    def make_promises(self) -> HidingPromises:
        return HidingPromises(self.config)

    def written(self, **fields: Any) -> NewMessage:
        """No text is part of another one."""
        new = super().written(**fields)
        return replace(new, text=f"{new.text}.")

    @rule(pick=PICK, name=st.booleans())
    @precondition(lambda self: self.promises.known)
    def an_operator_hides(self, pick: int, *, name: bool) -> None:
        message_id = self.some_message(pick)
        judge = partial(self.promises.judge_hide, message_id, name=name, erase=False)
        self.start(self.queue.call(MessageQueue.hide, message_id, "rude", name=name), judge)

    @rule(pick=PICK)
    @precondition(lambda self: self.promises.known)
    def an_operator_restores(self, pick: int) -> None:
        message_id = self.some_hidden(pick)
        self.start(self.queue.call(MessageQueue.restore, message_id), partial(self.promises.judge_restore, message_id))

    @rule(pick=PICK, name=st.booleans())
    @precondition(lambda self: self.promises.known)
    def an_operator_erases(self, pick: int, *, name: bool) -> None:
        message_id = self.some_hidden(pick)
        judge = partial(self.promises.judge_hide, message_id, name=name, erase=True)
        self.start(self.queue.call(MessageQueue.erase, message_id, name=name), judge)

    @rule(pick=PICK)
    @precondition(lambda self: self.promises.known)
    def an_operator_reads_what_is_hidden(self, pick: int) -> None:
        message_id = self.some_hidden(pick)
        self.start(self.queue.call(MessageQueue.hidden, message_id), partial(self.promises.judge_hidden, message_id))

    def some_hidden(self, pick: int) -> str:
        hidden = [message_id for message_id, state in self.promises.shown.items() if state == "hidden"]
        return hidden[-1 - pick % len(hidden)] if hidden else self.some_message(pick)

    def judge_page(self, moment: Moment, page: Page) -> None:
        super().judge_page(moment, page)
        for message in decode_list(page.body):
            self.promises.judge_shown(message)

    @invariant()
    def hidden_texts_are_stored_beside_exactly_the_hidden_messages(self) -> None:
        if hasattr(self, "runtime"):
            stored = {int(key.rpartition("/")[2]) for key, _ in self.runtime.disk.list(WALL, "hidden/", "", 1_000)}
            assert stored == {m.timestamp for m in self.durable() if m.hidden is not UNSET and m.erased is UNSET}

    @invariant()
    def erased_texts_are_stored_nowhere(self) -> None:
        if hasattr(self, "runtime"):
            everything = b"\n".join(value for _, value in self.runtime.disk.list(WALL, "", "", 10_000))
            for message in self.durable():
                if message.erased is not UNSET:
                    assert self.promises.known[message.id].new.text.encode() not in everything


TestHidingMachine = HidingMachine.TestCase
TestHidingMachine.settings = settings(
    max_examples=examples(100),
    stateful_step_count=60,
    report_multiple_bugs=False,
)
