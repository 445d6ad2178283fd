"""History: a durable object that keeps the figures of a wall, as its gateways report them once a minute."""

from typing import Final

import msgspec
from msgspec import Struct, field

import durable_objects
from durable_objects import Context, DurableObject, Runtime, Stub
from saywhatwant.history.figures import STEP_MS, Figures, Present, Report, Step
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
        together = Present()
        for gateway in gateways.values():
            if gateway.at == minute:
                together = sum_of(together, gateway.present)
        for ring in self._rings.values():
            figures = ring.at(now)
            ring.put(
                Figures(
                    figures.at,
                    sum_of(figures.counted, report.counted),
                    sum_of(figures.outcomes, outcomes),
                    most_of(figures.waiting, report.waiting),
                    most_of(figures.present, together),
                )
            )

    @durable_objects.read
    def figures(self, step: Step, since: int | None, limit: int) -> list[Figures]:
        """Up to ``limit`` figures, oldest first: those that begin after ``since`` (milliseconds since 1970), or the latest."""
        ring = self._rings[step]
        return ring.latest(limit) if since is None else ring.after(since, limit)

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
