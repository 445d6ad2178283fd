"""The queue's figures, for operators and /metrics."""

from collections import Counter
from collections.abc import Sequence

from saywhatwant.limits import MAX_STATS_ENTITIES
from saywhatwant.message import Status
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.index import Index
from saywhatwant.schemas import Depth, ReportedCircuit, Stats
from saywhatwant.tally import Outcomes, Tally, Waiting


def figures(
    index: Index,
    config: QueueConfig,
    entities: Sequence[str],
    *,
    seq: int,
    waited_for: list[str],
    circuits: list[ReportedCircuit],
    outcomes: Outcomes,
) -> Stats:
    """The figures at commit ``seq``; those of ``entities`` first."""
    depths = index.depths(MAX_STATS_ENTITIES, entities)
    return Stats(
        seq=seq,
        messages=len(index),
        backlog=index.backlog,
        backlog_limit=config.backlog_limit,
        retention=config.retention,
        backing_off=index.delayed_count,
        depth=_depth(index.counts.total),
        entities={entity: _depth(of_entity) for entity, of_entity in depths.items()},
        lease_expiries=outcomes.lease_expiries,
        waited_for=waited_for,
        circuits=circuits,
        answers=outcomes.answers,
        failures=outcomes.failures,
        answer_ms=outcomes.answer_ms,
        answer_times=outcomes.answer_times,
        next_since=index.next_since(depths),
    )


def tally(index: Index, outcomes: Outcomes) -> Tally:
    """The figures that a history is made of; they cost little, however many messages there are."""
    counts = index.counts.total
    return Tally(outcomes, Waiting(counts["pending"], counts["processing"], counts["failed"], index.backlog))


def _depth(counts: Counter[Status]) -> Depth:
    return Depth(counts["pending"], counts["processing"], counts["complete"], counts["failed"])
