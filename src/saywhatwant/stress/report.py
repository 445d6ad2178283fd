"""The report: figures and misses, computed only from what was posted and what each tab read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import ceil

from msgspec import Struct

from saywhatwant.stress.observation import Observation, Probe

Views = Mapping[str, Sequence[Observation]]
"""The observations of one tab, grouped by text or by the id they answer."""


class Miss(Struct, frozen=True):
    """One failure of one message."""

    probe: Probe
    what: str
    tabs: tuple[int, ...] = ()
    """The tabs in which it failed, counted from 0; empty when the failure does not depend on a tab."""


class Report(Struct, frozen=True):
    """How many messages arrived and were answered. ``misses`` is empty only if all were, exactly once."""

    tabs: int
    """How many tabs read."""
    posted: int
    delivered: int
    """Messages that every tab read exactly once, under the id that the server acknowledged."""
    answered_once: int
    """Messages to which every tab read exactly one answer, and all the same one."""
    doubled: int
    """Messages of which a tab read two copies or two answers, or two tabs read different ones."""
    missed: int
    """Messages that some tab did not read, or read without an answer."""
    latencies: tuple[float, ...]
    """Seconds from the first attempt to post until the posting tab read the answer, shortest first."""
    misses: tuple[Miss, ...]

    def latency(self, share: float) -> float | None:
        """The latency that this share of the answers did not exceed; None without any answer."""
        return share_of(self.latencies, share)


def share_of(latencies: Sequence[float], share: float) -> float | None:
    """The value that this share of ``latencies``, shortest first, does not exceed; None without any."""
    return latencies[max(0, ceil(share * len(latencies)) - 1)] if latencies else None


def report_on(probes: Sequence[Probe], tabs: Sequence[Sequence[Observation]]) -> Report:
    """The report on ``probes``, posted by the first of ``tabs``. Raises ``ValueError`` without tabs."""
    if not tabs:
        raise ValueError("a report needs at least one tab")
    messages = [_grouped((seen.message.text, seen) for seen in tab if seen.message.message_type == "human") for tab in tabs]
    answers = [
        _grouped((seen.message.reply_to or "", seen) for seen in tab if seen.message.message_type == "AI") for tab in tabs
    ]
    checks = [_Check(probe, messages, answers) for probe in probes]
    return Report(
        tabs=len(tabs),
        posted=len(probes),
        delivered=sum(check.is_delivered for check in checks),
        answered_once=sum(check.is_answered_once for check in checks),
        doubled=sum(check.is_doubled for check in checks),
        missed=sum(check.is_missed for check in checks),
        latencies=tuple(sorted(check.latency for check in checks if check.latency is not None)),
        misses=tuple(chain.from_iterable(check.misses() for check in checks)),
    )


def _grouped(pairs: Iterable[tuple[str, Observation]]) -> Views:
    groups: dict[str, list[Observation]] = defaultdict(list)
    for key, observation in pairs:
        groups[key].append(observation)
    return dict(groups)


class _Check:
    """One message: what each tab read of it and of its answers."""

    def __init__(self, probe: Probe, messages: Sequence[Views], answers: Sequence[Views]) -> None:
        self._probe = probe
        # By text, because a repeated post that made two messages gave them two ids.
        self._messages = [_ids(tab.get(probe.text, ())) for tab in messages]
        known = set(chain.from_iterable(self._messages)) | ({probe.id} if probe.id is not None else set())
        replies = [[seen for message_id in known for seen in tab.get(message_id, ())] for tab in answers]
        self._answers = [_ids(tab) for tab in replies]
        self.lacks_message = tuple(tab for tab, ids in enumerate(self._messages) if probe.id not in ids)
        self.lacks_answer = tuple(tab for tab, ids in enumerate(self._answers) if not ids)
        self.twice_message = _doubles(self._messages)
        self.twice_answer = _doubles(self._answers)
        read_at = min((seen.at for seen in replies[probe.tab]), default=None)
        self.latency = None if read_at is None or probe.begun is None else read_at - probe.begun

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
        if self._probe.id is None:
            error = f": {self._probe.error}" if self._probe.error else ""
            yield Miss(self._probe, f"was not accepted{error}")
        else:
            if self.lacks_message:
                yield Miss(self._probe, "was not seen", self.lacks_message)
            if self.lacks_answer:
                yield Miss(self._probe, "has no answer", self.lacks_answer)
        if self.twice_message:
            yield Miss(self._probe, "was seen more than once", self.twice_message)
        if self.twice_answer:
            yield Miss(self._probe, "has more than one answer", self.twice_answer)


def _ids(observations: Iterable[Observation]) -> list[str]:
    return [observation.message.id for observation in observations]


def _doubles(ids: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """The tabs that read more than one id; if the tabs read different ids, all tabs that read any."""
    if len(set(chain.from_iterable(ids))) > 1:
        return tuple(tab for tab, seen in enumerate(ids) if seen)
    return tuple(tab for tab, seen in enumerate(ids) if len(seen) > 1)
