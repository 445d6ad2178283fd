"""``sww bench``: the speed on this machine, compared with the alternatives."""

import subprocess
import sys
from pathlib import Path

import click

CHECKOUT = Path(__file__).parents[3]


@click.command()
@click.option("--quick", is_flag=True, help="One short round; writes nothing.")
@click.option("--only", multiple=True, show_default="all", help="Measure this contender; repeat for more.")
@click.option("--against", metavar="COMMIT|DIRECTORY", help="Compare with another checkout of this product only.")
def bench(*, quick: bool, only: tuple[str, ...], against: str | None) -> None:
    """Measure the speed on this machine, compared with workerd, Redis and PostgreSQL.

    Only installed contenders are measured; `make bench` installs the others.
    """
    if not (CHECKOUT / "benchmarks").is_dir():
        raise click.UsageError("the benchmarks are not in the installed package; run this in a checkout of the project")
    options = [
        *(["--quick"] if quick else []),
        *(["--only", *only] if only else []),
        *(["--against", against] if against else []),
    ]
    command = [sys.executable, "-m", "benchmarks", *options]
    sys.exit(subprocess.run(command, cwd=CHECKOUT, check=False).returncode)  # noqa: S603 - our own program
