"""Cuts an answer where its model goes on with the visitor's part, while the answer streams.

Models that were not trained on dialogues, or whose templates are wrong, write the next question themselves: a line that begins
with ``Human:`` or with the visitor's name. Not every server honors ``stop``, and none knows the names.
"""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from saywhatwant.models.draft.marks import Marks

OTHERS = ("Human", "User")
"""What models call the other side."""
OWN = ("Assistant", "AI")
"""What models call themselves."""
SECTIONS = ("Instruction", "Input", "Response", "Question", "Answer", "System")
"""What begins a part of a prompt in the style of Alpaca, after ``###``."""
_BETWEEN_BARS = (
    "im_start im_end im_sep user assistant system end endoftext eot_id eom_id start_header_id end_header_id begin_of_text "
    "end_of_text eos return turn start_of_role end_of_role end_of_turn START_OF_TURN_TOKEN END_OF_TURN_TOKEN"
)
TEMPLATE_TOKENS = (
    *(f"<|{name}|>" for name in _BETWEEN_BARS.split()),
    *("<start_of_turn>", "<end_of_turn>", "<end_of_utterance>", "[INST]", "[/INST]", "<<SYS>>", "</s>"),
    *("<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"),  # noqa: RUF001 - DeepSeek's have fullwidth bars
)
"""Tokens of chat templates, which some servers pass on as text."""

INLINE = " Human:"
"""The other side within a line, if it stands behind a sentence."""
_SENTENCE_END = ".!?…"

_DECORATION = " \t*_#>"
_EMPHASIS = "*_"
_BREAK = re.compile(r"[\r\n]")


class _Label(NamedTuple):
    """What a line begins with: whose it is, and where the words after it begin."""

    is_own: bool
    end: int


class Cut:
    """The answer as far as it is certain. How the text was split into pieces makes no difference.

    The answer ends before a line that begins with somebody's name and a colon, before ``Human:`` behind a sentence, and before
    a token of a chat template or one of ``stop``. At its very beginning the entity's own name is left out instead. White space
    at both ends is left out.

    Args:
        own: names of the entity.
        others: names of those that it talks with.
        stop: texts before which the answer ends, wherever they stand.
    """

    def __init__(self, own: Collection[str], others: Iterable[str], stop: Iterable[str] = ()) -> None:
        names = dict.fromkeys((*others, *OTHERS, *(name.upper() for name in OTHERS)), False)
        names |= dict.fromkeys((*own, *OWN, *(name.upper() for name in OWN)), True)
        self._names = names
        self._sections = dict.fromkeys(SECTIONS, False)
        self._certain = {*stop, *TEMPLATE_TOKENS}
        self._marks = Marks({*self._certain, INLINE})
        self._held = ""
        self._before = " "
        """The last character that was passed on."""
        self._space = ""
        self._begun = False
        self._at_line_start = True
        self.is_over = False
        """Whether the rest is cut off."""

    def push(self, piece: str) -> str:
        """Add a piece; returns what is certain now and was not before."""
        self._held += piece
        return self._take(is_end=False)

    def finish(self, *, at_limit: bool = False) -> str:
        """The rest. ``at_limit``: the model was stopped, so that a beginning of somebody's name may have been all of it."""
        rest = self._take(is_end=False)
        if at_limit and self._at_line_start:
            self._held = ""
        return rest + self._take(is_end=True)

    def _take(self, *, is_end: bool) -> str:
        taken = ""
        while self._held and not self.is_over:
            if self._at_line_start:
                label = self._label(is_end=is_end)
                if label is not None and label.end == 0:
                    break
                if label is not None:
                    self._pass(label)
                    continue
                self._at_line_start = False
            free, mark = self._marks.find(self._held, is_end=is_end)
            line = _BREAK.search(self._held, 0, free)
            end = line.end() if line else free
            if end == 0 and mark is None:
                break
            taken += self._pass_on(end)
            self._at_line_start = line is not None
            if mark is not None and line is None:
                if mark.text in self._certain or self._before in _SENTENCE_END:
                    self._end()
                else:
                    taken += self._pass_on(1)
        return taken

    def _pass_on(self, length: int) -> str:
        """The next characters, as far as they are visible now."""
        text, self._held = self._held[:length], self._held[length:]
        self._before = text[-1:] or self._before
        return self._visible(text)

    def _pass(self, label: _Label) -> None:
        if label.is_own and not self._begun:
            self._held = self._held[label.end :]
        else:
            self._end()

    def _end(self) -> None:
        self.is_over = True
        self._held = self._space = ""

    def _visible(self, text: str) -> str:
        """``text`` with the space before it, without the space after it, which comes before the next one if there is one."""
        text = self._space + text if self._begun else text.lstrip()
        visible = text.rstrip()
        if visible or self._begun:
            self._space = text[len(visible) :]
        self._begun = self._begun or bool(visible)
        return visible

    def _label(self, *, is_end: bool) -> _Label | None:
        """The label of the line that begins here; None when it has none, and one that ends at 0 when the next piece decides."""
        line_break = _BREAK.search(self._held)
        line = self._held[: line_break.start()] if line_break else self._held
        is_whole = is_end or line_break is not None
        words = line.lstrip(_DECORATION)
        before = line[: len(line) - len(words)]
        is_section = "###" in before
        if not words:
            if not is_whole:
                return _Label(is_own=False, end=0)
            return _Label(is_own=False, end=len(line)) if before.strip() == "###" else None
        names = {**self._names, **self._sections} if is_section else self._names
        for name, is_own in names.items():
            end = self._end_of_label(line, len(before), name, is_whole=is_whole)
            if end is not None:
                return _Label(is_own=is_own, end=end)
        return None

    @staticmethod
    def _end_of_label(line: str, start: int, name: str, *, is_whole: bool) -> int | None:
        """Where a label with this name ends: None if it is not there, 0 if more of the line is needed."""
        if not line.startswith(name, start):
            return None if is_whole or not name.startswith(line[start:]) else 0
        after = line[start + len(name) :]
        rest = after.lstrip(f"{_EMPHASIS} \t")
        if not rest:
            return None if is_whole else 0
        if rest[0] not in ":：":  # noqa: RUF001 - the colon of Chinese and Japanese
            return None
        # The emphasis of "**Zen:** Yes" ends behind the colon.
        opened = re.search(r"[*_]*$", line[:start])
        closing = opened.group()[::-1] if opened and after[0] in ":：" else ""  # noqa: RUF001
        end = len(line) - len(rest) + 1
        if closing.startswith(line[end : end + len(closing)]) and end + len(closing) > len(line) and not is_whole:
            return 0
        return end + len(closing) if line.startswith(closing, end) else end
