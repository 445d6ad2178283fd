"""What ``sww doctor`` finds."""

from collections.abc import Iterable
from typing import Literal

import click
from msgspec import UNSET, Struct, UnsetType

State = Literal["ok", "warning", "fault"]
_COLORS = {"ok": "green", "warning": "yellow", "fault": "red"}


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    check: str
    state: State
    what: str
    """What was found, in a sentence."""
    do: str | UnsetType = UNSET
    """What to do about it; unset where nothing is to be done."""


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", what)


def warning(check: str, what: str, do: str) -> Finding:
    """It works, and may stop to."""
    return Finding(check, "warning", what, do)


def fault(check: str, what: str, do: str) -> Finding:
    """It does not work, or the next failure would lose something."""
    return Finding(check, "fault", what, do)


def show(findings: Iterable[Finding]) -> None:
    """Print them for people."""
    for finding in findings:
        state = click.style(f"{finding.state:7}", fg=_COLORS[finding.state])
        click.echo(f"{state} {finding.check:10} {finding.what}")
        if finding.do is not UNSET:
            click.echo(f"{'':18} → {finding.do}")
