"""The laws of operational analysis, for means. Times are seconds, rates are per second."""

from collections.abc import Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """A cost that has a fixed part for each batch, and a part for each call in it."""

    a_batch: float
    a_call: float

    def of_batch(self, calls: float) -> float:
        """The cost of a batch."""
        return self.a_batch + self.a_call * calls

    def of_call(self, calls: float) -> float:
        """The share of one call, in batches of ``calls``."""
        return self.a_batch / calls + self.a_call


def fitted(points: Sequence[tuple[float, float]], weights: Sequence[float] | None = None) -> Line:
    """The line through (calls in a batch, cost of the batch) with the least squares; neither part is negative.

    With equal batches only, all of the cost is the call's.
    """
    weights = weights or [1.0] * len(points)
    whole = sum(weights)
    mean_x = sum(weight * x for weight, (x, _) in zip(weights, points, strict=True)) / whole
    mean_y = sum(weight * y for weight, (_, y) in zip(weights, points, strict=True)) / whole
    spread = sum(weight * (x - mean_x) ** 2 for weight, (x, _) in zip(weights, points, strict=True))
    if not spread:
        return Line(0.0, mean_y / mean_x)
    slope = sum(weight * (x - mean_x) * (y - mean_y) for weight, (x, y) in zip(weights, points, strict=True)) / spread
    if slope < 0:
        return Line(mean_y, 0.0)
    if slope * mean_x > mean_y:
        return Line(0.0, _through_zero(points, weights))
    return Line(mean_y - slope * mean_x, slope)


def _through_zero(points: Sequence[tuple[float, float]], weights: Sequence[float]) -> float:
    pairs = list(zip(weights, points, strict=True))
    return sum(weight * x * y for weight, (x, y) in pairs) / sum(weight * x * x for weight, (x, _) in pairs)


def utilization(rate: float, demand: float, servers: float = 1) -> float:
    """The utilization law: how busy something is that serves ``rate`` requests with ``demand`` of time each."""
    return rate * demand / servers


def closed(customers: int, stations: Sequence[tuple[float, int]], delay: float) -> float:
    """The throughput of ``customers`` that each begin again when they are served: exact mean value analysis.

    ``stations`` have a demand and a number of servers; one with several is a queue with their speed in all, and the rest of
    its demand a delay (Seidmann). ``delay`` is spent without a queue.
    """
    demands = [demand / servers for demand, servers in stations]
    delay += sum(demand - demand / servers for demand, servers in stations)
    queues = [0.0] * len(demands)
    rate = 0.0
    for number in range(1, customers + 1):
        # One that arrives sees the queues that there are without it.
        times = [demand * (1 + queue) for demand, queue in zip(demands, queues, strict=True)]
        rate = number / (delay + sum(times))
        queues = [rate * time for time in times]
    return rate


def batch_under(rate: float, time: Line, most: int) -> float:
    """The mean batch of an object that gets ``rate`` calls and has one batch in flight: those that arrive meanwhile.

    At least one call, at most ``most``; that many also where no batch is long enough.
    """
    left = 1 - rate * time.a_call
    return most if left <= 0 else min(max(rate * time.a_batch / left, 1.0), float(most))
