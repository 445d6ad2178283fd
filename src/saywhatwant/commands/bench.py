"""``sww bench``: how fast this is here, next to what people would use instead."""

import subprocess
import sys
from pathlib import Path

import click

CHECKOUT = Path(__file__).parents[3]


@click.command()
@click.option("--quick", is_flag=True, help="One short round; writes nothing.")
@click.option("--only", multiple=True, show_default="all", help="This contender; repeat for more.")
@click.option("--against", metavar="COMMIT|DIRECTORY", help="Another checkout of this product, and nothing else.")
def bench(*, quick: bool, only: tuple[str, ...], against: str | None) -> None:
    """Measure the speed on this machine, next to workerd, Redis and PostgreSQL.

    Measures what is installed; `make bench` installs the rest.
    """
    if not (CHECKOUT / "benchmarks").is_dir():
        raise click.UsageError("benchmarks are part of a checkout of this project, not of the installed package")
    options = [
        *(["--quick"] if quick else []),
        *(["--only", *only] if only else []),
        *(["--against", against] if against else []),
    ]
    command = [sys.executable, "-m", "benchmarks", *options]
    sys.exit(subprocess.run(command, cwd=CHECKOUT, check=False).returncode)  # noqa: S603 - our own program
