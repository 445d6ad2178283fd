"""``sww bench``: how fast this is here, beside what people would use instead."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

CHECKOUT = Path(__file__).parents[3]


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="One short round; writes nothing.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="This contender; repeat for more.", show_default="all")] = None,
    against: Annotated[
        str | None, typer.Option(metavar="COMMIT|DIRECTORY", help="Another checkout of this product, and nothing else.")
    ] = None,
) -> None:
    """Measure the speed on this machine, beside workerd, Redis and PostgreSQL.

    Measures what is installed; `make bench` installs the rest.
    """
    if not (CHECKOUT / "benchmarks").is_dir():
        raise typer.BadParameter("benchmarks are part of a checkout of this project, not of the installed package")
    options = [
        *(["--quick"] if quick else []),
        *(["--only", *only] if only else []),
        *(["--against", against] if against else []),
    ]
    command = [sys.executable, "-m", "benchmarks", *options]
    raise typer.Exit(subprocess.run(command, cwd=CHECKOUT, check=False).returncode)  # noqa: S603 - our own program
