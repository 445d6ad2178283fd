"""``sww bench``: how fast this is here, beside what people would use instead."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

CHECKOUT = Path(__file__).parents[3]


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="One short round, in under two minutes; writes nothing.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="This contender; again for more.", show_default="all")] = None,
) -> None:
    """Measure the speed on this machine, beside workerd, Redis and PostgreSQL."""
    if not (CHECKOUT / "benchmarks").is_dir():
        raise typer.BadParameter("the benchmarks are in the source of this project, and not in what pip installs of it")
    command = [sys.executable, "-m", "benchmarks", *(["--quick"] if quick else []), *(["--only", *only] if only else [])]
    raise typer.Exit(subprocess.run(command, cwd=CHECKOUT, check=False).returncode)  # noqa: S603 - our own program
