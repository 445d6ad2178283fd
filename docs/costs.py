"""Play all workloads, and write what they use and cost: benchmarks/cost.json and cost.svg, and the table in cloudflare.md.

``make costs`` runs this; it takes some minutes. The figures are the same on every machine.
"""

from pathlib import Path

import msgspec

from saywhatwant.commands.cost import silently
from saywhatwant.commands.cost_view import dollars
from saywhatwant.cost.chart import chart
from saywhatwant.cost.counts import Counts
from saywhatwant.cost.prices import Prices
from saywhatwant.cost.report import Cost, Report
from saywhatwant.cost.scenarios import SCENARIOS, play

FIGURES = Path(__file__).with_name("benchmarks")
COUNTS = FIGURES / "cost.json"
DOCUMENT = Path(__file__).with_name("cloudflare.md")
BEGIN, END = "<!-- made by docs/costs.py -->\n", "<!-- end -->\n"


def report(counts: dict[str, Counts]) -> Report:
    """What these workloads cost."""
    prices = Prices()
    return Report.of(prices, *(Cost.counted(name, SCENARIOS[name].what, used, prices) for name, used in counts.items()))


def counted() -> dict[str, Counts]:
    """What the workloads used when they were last played."""
    return msgspec.json.decode(COUNTS.read_bytes(), type=dict[str, Counts])


def table(costs: Report) -> str:
    """The table."""
    lines = [
        "| | a million round trips, objects only | with what pages ask, and the Worker | a month of all |",
        "|---|--:|--:|--:|",
    ]
    for cost in costs.costs:
        figures = (
            f"{cost.name}: {cost.what}",
            dollars(cost.per_million_objects),
            dollars(cost.per_million),
            dollars(cost.per_month),
        )
        lines.append(f"| {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def generated(document: str) -> str:
    """``document`` with the current table."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(report(counted()))}\n{END}{after}"


if __name__ == "__main__":
    silently()
    COUNTS.write_bytes(msgspec.json.format(msgspec.json.encode({name: play(name) for name in SCENARIOS})) + b"\n")
    (FIGURES / "cost.svg").write_text(chart(report(counted())))
    DOCUMENT.write_text(generated(DOCUMENT.read_text()))
