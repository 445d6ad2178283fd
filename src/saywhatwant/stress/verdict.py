"""The verdict: figures and misses, from nothing but what was asked and what every tab saw."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import ceil

from msgspec import Struct

from saywhatwant.stress.observation import Asked, Seen

Views = Mapping[str, Sequence[Seen]]
"""What one tab saw, by what it belongs to."""


class Miss(Struct, frozen=True):
    """One thing that went wrong with one message."""

    asked: Asked
    what: str
    tabs: tuple[int, ...] = ()
    """The tabs that can tell, counted from 0; none when it does not depend on a tab."""


class Verdict(Struct, frozen=True):
    """What became of what was asked; each figure counts messages.

    ``misses`` is empty only when all are delivered and answered once.
    """

    tabs: int
    """How many looked."""
    asked: int
    delivered: int
    """Every tab saw exactly that message, with the id that the server acknowledged, once."""
    answered_once: int
    """Every tab saw exactly one answer to it, and all saw the same one."""
    doubled: int
    """Somebody saw it or an answer twice, or two tabs saw different ones."""
    missed: int
    """Some tab did not see it, or no answer to it."""
    latencies: tuple[float, ...]
    """Seconds from the first try to post until the posting tab saw the answer, shortest first."""
    misses: tuple[Miss, ...]

    def latency(self, share: float) -> float | None:
        """The latency that this share of the answers did not exceed; None without any answer."""
        return self.latencies[max(0, ceil(share * len(self.latencies)) - 1)] if self.latencies else None


def judge(asked: Sequence[Asked], tabs: Sequence[Sequence[Seen]]) -> Verdict:
    """The verdict on ``asked``, whose posters are the first of ``tabs``. Raises ``ValueError`` when nobody looked."""
    if not tabs:
        raise ValueError("without a tab there is no verdict")
    messages = [_grouped((seen.message.text, seen) for seen in tab if seen.message.message_type == "human") for tab in tabs]
    answers = [
        _grouped((seen.message.reply_to or "", seen) for seen in tab if seen.message.message_type == "AI") for tab in tabs
    ]
    cases = [_Case(each, messages, answers) for each in asked]
    return Verdict(
        tabs=len(tabs),
        asked=len(asked),
        delivered=sum(case.is_delivered for case in cases),
        answered_once=sum(case.is_answered_once for case in cases),
        doubled=sum(case.is_doubled for case in cases),
        missed=sum(case.is_missed for case in cases),
        latencies=tuple(sorted(case.latency for case in cases if case.latency is not None)),
        misses=tuple(chain.from_iterable(case.misses() for case in cases)),
    )


def _grouped(pairs: Iterable[tuple[str, Seen]]) -> Views:
    groups: dict[str, list[Seen]] = defaultdict(list)
    for key, seen in pairs:
        groups[key].append(seen)
    return dict(groups)


class _Case:
    """One message: what each tab saw of it and of its answers."""

    def __init__(self, asked: Asked, messages: Sequence[Views], answers: Sequence[Views]) -> None:
        self._asked = asked
        # By text, because a repeated post that made two messages gave them two ids.
        self._messages = [_ids(tab.get(asked.text, ())) for tab in messages]
        known = set(chain.from_iterable(self._messages)) | ({asked.id} if asked.id is not None else set())
        replies = [[seen for message_id in known for seen in tab.get(message_id, ())] for tab in answers]
        self._answers = [_ids(tab) for tab in replies]
        self.lacks_message = tuple(tab for tab, ids in enumerate(self._messages) if asked.id not in ids)
        self.lacks_answer = tuple(tab for tab, ids in enumerate(self._answers) if not ids)
        self.twice_message = _doubles(self._messages)
        self.twice_answer = _doubles(self._answers)
        mine = replies[asked.tab]
        seen_at = min((seen.at for seen in mine), default=None)
        self.latency = None if seen_at is None or asked.begun is None else seen_at - asked.begun

    @property
    def is_delivered(self) -> bool:
        return not self.lacks_message and not self.twice_message

    @property
    def is_answered_once(self) -> bool:
        return not self.lacks_answer and not self.twice_answer

    @property
    def is_doubled(self) -> bool:
        return bool(self.twice_message or self.twice_answer)

    @property
    def is_missed(self) -> bool:
        return bool(self.lacks_message or self.lacks_answer)

    def misses(self) -> Iterable[Miss]:
        if self._asked.id is None:
            refusal = f": {self._asked.refusal}" if self._asked.refusal else ""
            yield Miss(self._asked, f"was not accepted{refusal}")
        else:
            if self.lacks_message:
                yield Miss(self._asked, "was not seen", self.lacks_message)
            if self.lacks_answer:
                yield Miss(self._asked, "has no answer", self.lacks_answer)
        if self.twice_message:
            yield Miss(self._asked, "is there more than once", self.twice_message)
        if self.twice_answer:
            yield Miss(self._asked, "has more than one answer", self.twice_answer)


def _ids(seen: Iterable[Seen]) -> list[str]:
    return [each.message.id for each in seen]


def _doubles(ids: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """The tabs that saw more than one; when each saw one but not the same one, all that saw any."""
    if len(set(chain.from_iterable(ids))) > 1:
        return tuple(tab for tab, seen in enumerate(ids) if seen)
    return tuple(tab for tab, seen in enumerate(ids) if len(seen) > 1)
