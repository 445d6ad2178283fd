"""A chart of costs as SVG: a bar for each design and workload, divided by cause. It can be read on a light and a dark page."""

from collections.abc import Iterator
from html import escape

from saywhatwant.cost.report import Cost, Report

WIDTH, LEFT, RIGHT, ROW, BAR = 800, 150, 70, 30, 18
LEGEND = 46
GAP = 8
"""Where a bar is cut."""
COLORS = {
    "rows written": "#c8553d",
    "requests": "#588b8b",
    "time": "#d9a441",
    "rows read": "#7d6b91",
    "Worker": "#a8a8a8",
}
"""By what is paid for, in the order of the parts of a bar."""
_OF_UNIT = {"rows written": "rows written", "operations": "rows written", "GB-s": "time", "rows read": "rows read"}


def chart(report: Report) -> str:
    """The chart: dollars for a million round trips, everything included. A bar that would be too long is cut."""
    costs = [cost for cost in report.costs if cost.per_million]
    shown = sorted(cost.per_million or 0 for cost in costs)
    longest = shown[-1] if len(shown) < 2 else min(shown[-1], 2 * shown[-2])  # noqa: PLR2004 - one may stand out
    height = LEGEND + ROW * len(costs) + 8
    bars = "".join(_bar(cost, LEGEND + ROW * row, longest) for row, cost in enumerate(costs))
    title = f"Dollars for a million round trips, at Cloudflare's prices of {report.prices.as_of}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="{escape(title)}">\n'
        "<style>text{fill:#24292f}@media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>\n"
        f'<text x="0" y="14">{escape(title)}</text>\n{"".join(_legend())}{bars}</svg>\n'
    )


def _legend() -> Iterator[str]:
    x = LEFT
    for name, color in COLORS.items():
        yield f'<rect x="{x}" y="24" width="10" height="10" fill="{color}"/><text x="{x + 15}" y="33">{name}</text>\n'
        x += 118


def _bar(cost: Cost, y: int, longest: float) -> str:
    parts = dict.fromkeys(COLORS, 0.0)
    for line in cost.bill.lines:
        part = "Worker" if line.part == "Worker" else _OF_UNIT.get(line.unit, "requests")
        parts[part] += cost.bill.per_million(line.dollars) or 0.0
    drawn = [f'<text x="0" y="{y + 14}">{escape(cost.name)}</text>']
    room = WIDTH - LEFT - RIGHT
    is_cut = (cost.per_million or 0) > longest
    x, end, scale = float(LEFT), LEFT + room - (2 * GAP if is_cut else 0), room / longest
    for part, dollars in parts.items():
        width = min(dollars * scale, end - x)
        if width > 0:
            drawn.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLORS[part]}"/>')
            x += width
    if is_cut:
        last = next(COLORS[part] for part in reversed(parts) if parts[part])
        drawn.append(f'<rect x="{x + GAP:.1f}" y="{y}" width="{GAP}" height="{BAR}" fill="{last}"/>')
        x += 2 * GAP
    drawn.append(f'<text x="{x + 6:.1f}" y="{y + 14}">${cost.per_million:,.2f}</text>\n')
    return "".join(drawn)
