"""What the lists, the figures and the events of a queue must have in common with its messages."""

from msgspec import Raw
from msgspec.structs import replace

from saywhatwant.message import decode
from saywhatwant.overview import Overview
from saywhatwant.queue.config import QueueConfig


def judge_lists(config: QueueConfig, seen: list[list[Raw]], overview: Overview) -> None:
    """``seen`` is the whole wall, then the lists by state."""
    page, pending, delayed, in_flight, failed = ([decode(encoded) for encoded in found] for found in seen)
    by_status = {status: [m for m in page if m.bot_params.status == status] for status in ("pending", "processing", "failed")}
    ready = [m for m in by_status["pending"] if m.bot_params.retry_at is None]
    assert pending == sorted(ready, key=lambda m: (m.bot_params.priority * config.aging_ms + m.timestamp, m.timestamp))
    assert in_flight == sorted(by_status["processing"], key=lambda m: (m.bot_params.lease_expires_at or 0, m.timestamp))
    assert {m.id for m in delayed} == {m.id for m in by_status["pending"]} - {m.id for m in ready}
    assert failed == by_status["failed"][::-1]
    work = sorted(by_status["pending"] + in_flight, key=lambda m: m.timestamp, reverse=True)
    assert overview.oldest == {m.bot_params.entity or "": m.timestamp for m in work}
    stats = overview.stats
    assert (stats.messages, stats.depth.failed, stats.backing_off) == (len(page), len(failed), len(delayed))
    assert stats.backlog == len(by_status["pending"]) + len(in_flight) == stats.depth.pending + stats.depth.processing


def published(event: bytes, stored: bytes) -> bool:
    """Whether what was published last is what is stored now, but for a lease that has been extended since."""
    last, now = decode(event), decode(stored)
    if now.bot_params.status == "processing" and last.seq < now.seq:
        last = replace(last, seq=now.seq, bot_params=replace(last.bot_params, lease_expires_at=now.bot_params.lease_expires_at))
    return last == now
