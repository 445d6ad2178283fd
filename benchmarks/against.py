"""The product of another checkout, beside this one's."""

import io
import subprocess
import sys
import tarfile
import venv
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Result
from benchmarks.contenders.product import NAME, Product
from benchmarks.failures import Missing
from benchmarks.wrk import Figure

CACHE = Path(".venv-against")
"""Checkouts with their environments, one for each commit; git ignores it."""
AT_LEAST = 0.9
"""The share of the other's figures that this checkout should reach."""
EXTRAS = ("server", "bot")
"""What the server and ``sww`` need, where a checkout has such extras."""


class Pair(NamedTuple):
    """One load on both, over all rounds."""

    load: str
    ours: tuple[Figure, ...]
    theirs: tuple[Figure, ...]
    """Of the rounds in which both were measured."""
    notes: tuple[str, ...]

    @property
    def ratios(self) -> list[float]:
        """Ours to theirs, answers a second, in each round."""
        return [ours.per_second / theirs.per_second for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def cpu_ratio(self) -> float:
        """Ours to theirs, processor time for each answer: the median."""
        return median(ours.cpu_us / max(theirs.cpu_us, 1.0) for ours, theirs in zip(self.ours, self.theirs, strict=True))


def other_product(reference: str) -> Product:
    """The product of a checkout: a path, or anything that git knows as a commit of this repository.

    Installed in an environment of its own, with the versions that the checkout pins; kept for the next run. Raises ``Missing``.
    """
    path = Path(reference)
    if path.is_dir():
        own = path / ".venv" / "bin" / "sww"
        checkout = path.resolve()
        sww = own.absolute() if own.exists() else _installed(checkout, _environment(str(checkout)))
    else:
        commit = _commit(reference)
        environment = _environment(commit)
        checkout = environment / "source"
        if not checkout.exists():
            _unpack(commit, checkout)
        sww = _installed(checkout, environment)
    return Product(f"{NAME}, {reference}", sww)


def _environment(key: str) -> Path:
    return CACHE.absolute() / sha256(key.encode()).hexdigest()[:12]


def _commit(reference: str) -> str:
    command = ("git", "rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{reference} is neither a directory nor a commit of this repository")
    return done.stdout.strip()


def _unpack(commit: str, directory: Path) -> None:
    archive = subprocess.run(("git", "archive", "--format=tar", commit), check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(directory, filter="data")


def _installed(checkout: Path, environment: Path) -> Path:
    sww = environment / "bin" / "sww"
    if sww.exists():
        return sww
    venv.create(environment, with_pip=True)
    pins = checkout / "constraints.txt"
    constraint = ("--constraint", str(pins)) if pins.exists() else ()
    project = f"{checkout}[{','.join(EXTRAS)}]"
    command = (str(environment / "bin" / "pip"), "install", "--quiet", *constraint, "--editable", project)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{checkout} cannot be installed: {done.stderr}")
    return sww


def pairs(results: Sequence[Result], other: str) -> list[Pair]:
    """What both were measured for, load by load."""
    found = []
    for load in dict.fromkeys(result.load for result in results):
        of_load = [result for result in results if result.load == load]
        ours, theirs = ({r.round: r.figure for r in of_load if r.contender == name and r.figure} for name in (NAME, other))
        both = sorted(ours.keys() & theirs.keys())
        notes = tuple(f"{result.contender}: {result.note}" for result in of_load if result.note)
        found.append(Pair(load, tuple(ours[number] for number in both), tuple(theirs[number] for number in both), notes))
    return found


def show(console: Console, measured: Sequence[Pair], other: str) -> bool:
    """Print the pairs; whether every load was measured on both and none is below ``AT_LEAST``."""
    table = Table(box=None)
    for heading in ("load", "this, per second", f"{other}, per second", "ratio", "rounds", "processor time, ratio"):
        table.add_column(heading, justify="left" if heading == "load" else "right")
    for pair in measured:
        if not pair.ratios:
            table.add_row(pair.load, "not measured")
            continue
        rates = (f"{median(figure.per_second for figure in figures):,.0f}" for figures in (pair.ours, pair.theirs))
        spread = f"{min(pair.ratios):.2f} to {max(pair.ratios):.2f}"
        table.add_row(pair.load, *rates, f"{median(pair.ratios):.2f}", spread, f"{pair.cpu_ratio:.2f}")
    console.print(table)
    for pair in measured:
        for text in pair.notes:
            console.print(f"{pair.load}: {text}", markup=False)
    slower = [pair.load for pair in measured if pair.ratios and median(pair.ratios) < AT_LEAST]
    console.print(f"below {AT_LEAST:.0%} of {other}: {', '.join(slower) or 'none'}")
    return not slower and all(pair.ratios for pair in measured)


if __name__ == "__main__":  # prepare an environment, so that the first run does not wait for it
    for argument in sys.argv[1:]:
        other_product(argument)
