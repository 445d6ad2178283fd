"""An answer while a model writes it: without reasoning, without the visitor's part, and bounded."""

import re
from collections.abc import Callable

from saywhatwant.models.draft.cut import Cut
from saywhatwant.models.draft.reasoning import Part, ReasoningTags
from saywhatwant.models.model import MAX_ANSWER, MAX_WRITTEN
from saywhatwant.schemas import ProgressState

ELLIPSIS = "…"
"""What an answer ends with that goes on."""
_SENTENCE_END = re.compile(r"""[.!?…。！？][\s"'”’»)\]*_`]*$""")  # noqa: RUF001 - of other scripts


class Draft:
    """What a model has written so far.

    Args:
        new_cut: makes the filter of the answer's text; called again when what came so far was reasoning.
        begins_inside: this model's text is known to begin inside its reasoning, without a tag.
        max_chars: of the answer.
    """

    def __init__(self, new_cut: Callable[[], Cut], *, begins_inside: bool = False, max_chars: int = MAX_ANSWER) -> None:
        self._max_chars = max_chars
        self._new_cut = new_cut
        self._cut = new_cut()
        self._begins_inside = begins_inside
        self._tags = ReasoningTags(begins_inside=begins_inside)
        self.written = ""
        """What the answer is made of: all that came and was no reasoning."""
        self.text = ""
        """The answer; only grows, unless a closing tag shows that it was reasoning."""
        self.reasoning = ""
        """At most its first ``MAX_WRITTEN`` characters: a model may think until its time is over."""
        self.is_long = False
        """Whether it reached its most characters."""

    @property
    def state(self) -> ProgressState | None:
        """What the model does, as far as there is anything to show of it."""
        if self.text:
            return "writing"
        return "thinking" if self.reasoning else None

    @property
    def is_over(self) -> bool:
        """Whether nothing that comes can become part of the answer, unless a closing tag shows that it was reasoning."""
        return self.is_long or self._cut.is_over

    @property
    def begins_inside(self) -> bool:
        """Whether the text began inside reasoning, without a tag."""
        return self._tags.has_orphan or (self._begins_inside and self._tags.has_tags)

    def write(self, piece: str) -> None:
        """Add a piece of the model's text."""
        self._take(self._tags.push(piece))

    def think(self, piece: str) -> None:
        """Add a piece of reasoning that came apart from the text."""
        if self._begins_inside and not self._tags.has_tags:
            self._begins_inside, self._tags = False, ReasoningTags()
        self._reason(piece)

    def finish(self, *, at_limit: bool) -> str:
        """The whole answer, empty if there is none. ``at_limit``: the model was stopped by a bound on its length."""
        self._take(self._tags.finish())
        if self._begins_inside and not self._tags.has_tags and not at_limit:
            # It did not think this time, so that all of it is the answer.
            self._show(self.reasoning)
            self.reasoning = ""
        self._add(self._cut.finish(at_limit=at_limit))
        goes_on = self.is_long or (at_limit and not self._cut.is_over)
        if goes_on and self.text and not _SENTENCE_END.search(self.text):
            self.text = self.text.rstrip() + ELLIPSIS
        return self.text

    def _take(self, parts: list[Part]) -> None:
        for kind, text in parts:
            if kind == "answer":
                self._show(text)
            elif kind == "reasoning":
                self._reason(text)
            else:
                self._reason(self.written)
                self.written, self.text, self.is_long = "", "", False
                self._cut = self._new_cut()

    def _reason(self, text: str) -> None:
        self.reasoning += text[: MAX_WRITTEN - len(self.reasoning)]

    def _show(self, text: str) -> None:
        self.written += text
        self._add(self._cut.push(text))

    def _add(self, text: str) -> None:
        room = self._max_chars - len(ELLIPSIS) - len(self.text)
        self.is_long = self.is_long or len(text) > room
        self.text += text[: max(room, 0)]
