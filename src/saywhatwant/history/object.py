"""History: a durable object that keeps the figures of a wall, as its gateways report them once a minute."""

from typing import Final

import msgspec
from msgspec import Struct, field

import durable_objects
from durable_objects import Context, DurableObject, Runtime, Stub
from saywhatwant.history.figures import STEP_MS, Figures, Present, Report, Step, together
from saywhatwant.history.ring import Ring
from saywhatwant.limits import HISTORY_DAYS, HISTORY_HOURS, MAX_REPORTING_GATEWAYS
from saywhatwant.tally import Outcomes, difference, is_less, most_of, sum_of

NAMESPACE: Final = "History"
NAME: Final = "history"

_STATE: Final = "state"
_STALE_MS: Final = 120_000
"""The wall's counts only grow. Lower ones were read before those of another gateway's report, if they come this soon after."""


class _Gateway(Struct):
    """What is known of one that has reported."""

    number: int
    at: int
    """The minute of its last report."""
    present: Present


class _State(Struct):
    """What is stored beside the figures."""

    outcomes: Outcomes = field(default_factory=Outcomes)
    """The wall's, as they were last reported."""
    reported_at: int = 0
    gateways: dict[str, _Gateway] = field(default_factory=dict)
    """Those that have reported, the latest last."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_State).decode


class History(DurableObject):
    """A week of minutes and a year of hours, in a bounded number of rows; see ``Ring``.

    A report belongs to the minute in which it arrives. A killed gateway loses what it has counted since its last report; what
    the wall counts (answers, failures) is durable, so the next report has it.
    """

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        storage = ctx.storage
        stored = storage.get(_STATE)
        self._state = _State() if stored is None else _decode(stored)
        # One block more than is promised, since the latest one is not full.
        self._rings: dict[Step, Ring] = {
            "minute": Ring(storage, "minute", per_block=60, max_blocks=HISTORY_HOURS + 1),
            "hour": Ring(storage, "hour", per_block=24, max_blocks=HISTORY_DAYS + 1),
        }

    def add(self, report: Report) -> None:
        """Add a gateway's report, unless it is known already."""
        now = self.ctx.now()
        minute = now - now % STEP_MS["minute"]
        gateways = self._state.gateways
        known = gateways.pop(report.gateway, None)
        if known is not None and report.number <= known.number:
            gateways[report.gateway] = known
            return
        present = report.present
        if known is not None and known.at == minute:
            present = most_of(present, known.present)
        gateways[report.gateway] = _Gateway(report.number, minute, present)
        if len(gateways) > MAX_REPORTING_GATEWAYS:
            del gateways[next(iter(gateways))]
        outcomes = self._new_outcomes(report.outcomes, now)
        self.ctx.storage.put(_STATE, _encode(self._state))
        everybody = Present()
        for gateway in gateways.values():
            if gateway.at == minute:
                everybody = sum_of(everybody, gateway.present)
        since = max(now - report.covers_ms, 1) if report.covers_ms else 0
        new = Figures(minute, report.counted, outcomes, report.waiting, everybody, since)
        for ring in self._rings.values():
            ring.put(ring.at(now).plus(new))

    @durable_objects.read
    def figures(self, step: Step, since: int | None, limit: int, every: int = 1) -> list[Figures]:
        """Up to ``limit`` figures, oldest first: those that begin after ``since`` (milliseconds since 1970), or the latest.

        Each is of ``every`` steps.
        """
        ring = self._rings[step]
        ms = STEP_MS[step] * every
        if since is None:
            return together(ring.latest(limit * every), ms)[-limit:]
        # The first time that begins after it.
        first = since - since % ms + ms
        return together(ring.after(first - 1, limit * every), ms)[:limit]

    def _new_outcomes(self, reported: Outcomes, now: int) -> Outcomes:
        """What the wall has counted since the last report."""
        state = self._state
        known = state.outcomes
        if is_less(reported, known) and abs(now - state.reported_at) > _STALE_MS:
            known = Outcomes()  # it is another wall
            state.outcomes = reported
        else:
            state.outcomes = most_of(reported, known)
        state.reported_at = now
        return difference(reported, known)


def open_history(runtime: Runtime) -> Stub[History]:
    """The history beside the wall of ``runtime``, which must not have started yet."""
    return runtime.namespace(NAMESPACE, History).get(NAME)
