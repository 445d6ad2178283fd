"""Prometheus' text format, version 0.0.4."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Literal


class Family:
    """One metric, with a sample for each set of labels; its name ends with ``_total`` if it is a counter."""

    def __init__(
        self,
        kind: Literal["counter", "gauge", "histogram"],
        name: str,
        text: str,
        value: float | None = None,
        *,
        labels: Sequence[str] = (),
    ) -> None:
        self._lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        self._name = name
        self._labels = labels
        if value is not None:
            self.add((), value)

    def add(self, labels: Sequence[str], value: float) -> None:
        """A sample of a counter or a gauge."""
        self._sample("", zip(self._labels, labels, strict=True), value)

    def add_histogram(self, labels: Sequence[str], bounds: Sequence[float], counts: Sequence[int], total: float) -> None:
        """The samples of a histogram: how many values each bucket has by itself, the last one beyond all bounds; their sum."""
        common = list(zip(self._labels, labels, strict=True))
        upper = [*(str(float(bound)) for bound in bounds), "+Inf"]
        for bound, count in zip(upper, accumulate(counts), strict=True):
            self._sample("_bucket", iter([*common, ("le", bound)]), count)
        self._sample("_count", iter(common), sum(counts))
        self._sample("_sum", iter(common), total)

    def _sample(self, suffix: str, labels: Iterator[tuple[str, str]], value: float) -> None:
        given = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
        self._lines.append(
            f"{self._name}{suffix}{{{given}}} {float(value)}" if given else f"{self._name}{suffix} {float(value)}"
        )

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in self._lines)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
