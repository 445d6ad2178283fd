"""Tells a model's reasoning from its answer where both come as one text, while it streams.

Servers that know the model send reasoning in a field of its own (``reasoning_content``). Others pass on what the model writes:
``<think>...</think>``, the same with other names, or the channels of gpt-oss ("harmony" format). Templates that put the opening
tag into the prompt leave only the closing one in the text.
"""

from typing import Literal, NamedTuple

from saywhatwant.models.draft.marks import Marks

_NAMES = ("think", "thinking", "thought", "thoughts", "reasoning", "seed:think")
_OPENING = {
    *(f"<{name}>" for name in _NAMES),
    *("[think]", "◁think▷", "<|start_thinking|>", "<|begin_of_thought|>"),
}
_CLOSING = {
    *(f"</{name}>" for name in _NAMES),
    *("[/think]", "◁/think▷", "<|end_thinking|>", "<|end_of_thought|>"),
}
_CHANNEL, _MESSAGE, _START = "<|channel|>", "<|message|>", "<|start|>"
_ENDS = {"<|end|>", "<|return|>", "<|call|>"}
_MARKS = Marks((*_OPENING, *_CLOSING, _CHANNEL, _MESSAGE, _START, *_ENDS), any_case=True)

FINAL = "final"
"""The channel of gpt-oss that is the answer."""


def has_tag(text: str) -> bool:
    """Whether a tag that begins or ends reasoning is part of ``text``."""
    return _MARKS.find(text, is_end=True)[1] is not None


class Part(NamedTuple):
    """A part of the text. ``orphan`` has no text: it means that all of the answer until here was reasoning."""

    kind: Literal["answer", "reasoning", "orphan"]
    text: str = ""


class ReasoningTags:
    """Splits a text that comes in pieces. How it is cut into pieces does not matter.

    A tag behind a backtick is one that the answer is about. ``begins_inside``: the opening tag is known to be missing.
    """

    def __init__(self, *, begins_inside: bool = False) -> None:
        self._state: Literal["answer", "reasoning", "header", "between"] = "reasoning" if begins_inside else "answer"
        self._held = ""
        self._before = ""
        """The last character that was passed on."""
        self._header = ""
        self._has_channels = False
        self._parts: list[Part] = []
        self.has_tags = False
        """Whether there was any tag."""
        self.has_orphan = False
        """Whether there was a closing tag without an opening one."""

    @property
    def is_reasoning(self) -> bool:
        """Whether the text is inside reasoning now."""
        return self._state == "reasoning"

    def push(self, piece: str) -> list[Part]:
        """Add a piece; returns the parts that are certain now."""
        self._held += piece
        return self._split(is_end=False)

    def finish(self) -> list[Part]:
        """The rest."""
        return self._split(is_end=True)

    def _split(self, *, is_end: bool) -> list[Part]:
        while self._held:
            free, mark = _MARKS.find(self._held, is_end=is_end)
            self._pass(self._held[:free])
            if mark is None:
                self._held = self._held[free:]
                break
            literal = self._held[mark.start : mark.end]
            self._held = self._held[mark.end :]
            if self._before == "`" or not self._follow(mark.text):
                self._pass(literal)
        parts, self._parts = self._parts, []
        return parts

    def _pass(self, text: str) -> None:
        if not text:
            return
        self._before = text[-1]
        if self._state == "header":
            self._header += text
        elif self._state in {"answer", "reasoning"}:
            self._parts.append(Part("answer" if self._state == "answer" else "reasoning", text))

    def _follow(self, mark: str) -> bool:
        """Change the state; returns False if the mark is a text like any other here."""
        if mark in _OPENING:
            self._state = "reasoning"
        elif mark in _CLOSING:
            if self._state == "answer":
                self._parts.append(Part("orphan"))
                self.has_orphan = True
            self._state = "answer"
        elif mark == _CHANNEL:
            self._state, self._header, self._has_channels = "header", "", True
        elif mark == _START:
            self._state = "between"
        elif mark == _MESSAGE:
            is_answer = self._state != "header" or self._header.strip().lower().startswith(FINAL)
            self._state = "answer" if is_answer else "reasoning"
        elif self._has_channels:
            self._state = "between"
        else:
            return False
        self.has_tags = True
        return True
