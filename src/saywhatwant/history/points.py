"""The answer of GET /api/ops/history."""

from collections.abc import Callable, Iterable
from typing import Annotated, Self

from msgspec import Meta, Struct

from saywhatwant.answer_times import BOUNDS_SECONDS, percentile
from saywhatwant.history.figures import Counted, Figures, Step

Count = Annotated[int, Meta(ge=0)]
Price = Callable[[Counted], float]
"""What some counts would cost, in dollars."""


class Point(Struct, frozen=True, rename="camel"):
    """The figures of one minute or hour. Those of all gateways together; a minute that had none is left out."""

    at: Annotated[int, Meta(description="when it begins, in milliseconds since 1970")]
    posts: Annotated[int, Meta(description="posts that were taken")]
    questions: Annotated[int, Meta(description="those that ask for an answer")]
    answers: Annotated[int, Meta(description="questions that were answered")]
    failures: Annotated[int, Meta(description="messages that have failed")]
    lease_expiries: Annotated[int, Meta(description="leases that ran out")]
    p50: Annotated[float | None, Meta(description="seconds from a question to its answer: half of them took no longer")]
    p99: Annotated[float | None, Meta(description="the same for 99 of 100")]
    answer_ms: Annotated[int, Meta(description="the sum of these times, in milliseconds")]
    answer_times: Annotated[
        list[Count], Meta(description="answers by these times: one count for each of bounds, then longer ones")
    ]
    requests: Annotated[int, Meta(description="requests and WebSocket handshakes, without those of probes and monitors")]
    errors: Annotated[int, Meta(description="requests that were answered with 500 or above")]
    socket_messages: Annotated[int, Meta(description="frames from clients")]
    commits: Count
    commit_calls: Annotated[int, Meta(description="calls that the commits carried")]
    commit_failures: Annotated[int, Meta(description="commits that the disk did not take")]
    rows_read: Count
    rows_written: Count
    active_ms: Annotated[int, Meta(description="milliseconds in which at least one request was under way")]
    pending: Annotated[int, Meta(description="the most messages that waited for a bot")]
    held: Annotated[int, Meta(description="the most that were being answered")]
    failed: Annotated[int, Meta(description="the most that stood as failed")]
    backlog: Annotated[int, Meta(description="the most unfinished messages")]
    readers: Annotated[int, Meta(description="the most WebSockets of readers")]
    bots: Annotated[int, Meta(description="the most bots")]
    since: Annotated[
        int | None,
        Meta(description="a server was there all the time from then on, in milliseconds since 1970; null if that is not known"),
    ] = None
    dollars: Annotated[
        float | None, Meta(description="what a cloud would have charged for this; null where nobody knows prices")
    ] = None

    @classmethod
    def of(cls, figures: Figures, price: Price | None = None) -> Self:
        """The figures by their names."""
        counted, outcomes, waiting, present = figures.counted, figures.outcomes, figures.waiting, figures.present
        return cls(
            at=figures.at,
            posts=counted.posts,
            questions=counted.questions,
            answers=outcomes.answers,
            failures=outcomes.failures,
            lease_expiries=outcomes.lease_expiries,
            p50=percentile(outcomes.answer_times, 0.5),
            p99=percentile(outcomes.answer_times, 0.99),
            answer_ms=outcomes.answer_ms,
            answer_times=outcomes.answer_times,
            requests=counted.requests,
            errors=counted.errors,
            socket_messages=counted.socket_messages,
            commits=counted.commits,
            commit_calls=counted.commit_calls,
            commit_failures=counted.commit_failures,
            rows_read=counted.rows_read,
            rows_written=counted.rows_written,
            active_ms=counted.active_ms,
            pending=waiting.pending,
            held=waiting.held,
            failed=waiting.failed,
            backlog=waiting.backlog,
            readers=present.readers,
            bots=present.bots,
            since=figures.since or None,
            dollars=None if price is None else price(counted),
        )


class Points(Struct, frozen=True):
    """Figures, oldest first."""

    step: Step
    bounds: Annotated[list[float], Meta(description="the upper bounds of answerTimes, in seconds")]
    points: list[Point]
    every: Annotated[int, Meta(ge=1, description="minutes or hours in a point")] = 1

    @classmethod
    def of(cls, step: Step, figures: Iterable[Figures], *, every: int = 1, price: Price | None = None) -> Self:
        """The figures by their names."""
        return cls(step, list(BOUNDS_SECONDS), [Point.of(one, price) for one in figures], every)
