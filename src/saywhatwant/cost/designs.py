"""The designs before this one, as their operators worded them, with the same prices."""

from saywhatwant.cost.bill import Bill, Line
from saywhatwant.cost.prices import MILLION, Prices


def key_value(prices: Prices) -> Bill:
    """The first wall, on an eventually consistent key-value store: nine operations for a message and its answer.

    A post puts the message, then reads and puts the list that readers get; the claim puts the message; the reply is a post; the
    completion puts the question. (``python -m benchmarks.keyvalue`` plays it.) Four requests to a Worker, no object.
    """
    return _bill(
        Line("writes", 6 * MILLION, "operations", 6 * prices.key_value_writes),
        Line("reads", 3 * MILLION, "operations", 3 * prices.key_value_reads),
        Line("Worker", 4 * MILLION, "requests", 4 * prices.worker_requests, part="Worker"),
    )


def first_object(prices: Prices) -> Bill:
    """The Durable Object that replaced it, as its description words it: four requests, three rows."""
    return _bill(
        Line("commits", 3 * MILLION, "rows written", 3 * prices.rows_written),
        Line("requests", 4 * MILLION, "requests", 4 * prices.object_requests),
        Line("Worker", 4 * MILLION, "requests", 4 * prices.worker_requests, part="Worker"),
    )


def _bill(*lines: Line) -> Bill:
    """The bill of a million round trips."""
    return Bill([*lines], round_trips=MILLION, seconds=0)
