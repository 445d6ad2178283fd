"""Measurements of this product alone."""

from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console

from benchmarks import growth, promises
from benchmarks.failures import note
from benchmarks.loads import POSTS_AT_32
from benchmarks.readers import deliver
from benchmarks.wrk import Figure, measure, measure_work


def measured(seconds: int, console: Console) -> dict[str, Any]:
    """Measure and print; a failed measurement becomes a note."""
    outcomes = promises.outcomes()
    promises.show(console, outcomes)

    def attempt(what: str, take: Callable[[], Any]) -> Any:  # noqa: ANN401 - what goes into the JSON
        try:
            figure = take()
        except Exception as error:  # noqa: BLE001 - the rest can still be measured
            console.print(f"{what}: not measured: {note(error)}", markup=False)
            return {"note": note(error)}
        console.print(f"{what}: {figure:,.0f}" if isinstance(figure, float) else f"{what}: {figure}", markup=False)
        return figure if isinstance(figure, float) else figure._asdict()

    return {
        "promises": [outcome._asdict() for outcome in outcomes],
        "claim_and_complete": attempt("claims and completions of a backlog", partial(_work, seconds)),
        "retained": [attempt("wall", partial(growth.retained, number, seconds)) for number in growth.RETAINED],
        "objects": {
            number: attempt(f"posts a second without HTTP, {number:,} objects", partial(growth.objects, number, growth.POSTS))
            for number in growth.OBJECTS
        },
        "readers": [attempt("WebSockets", partial(deliver, number)) for number in (100, 1_000)],
    }


def _work(seconds: int) -> Figure:
    with growth.fresh() as server:
        measure(server.url, POSTS_AT_32, seconds)
        return measure_work(server.url, seconds)
