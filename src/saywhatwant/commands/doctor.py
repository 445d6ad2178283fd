"""``sww doctor``: what is wrong, and what to do about it."""

import sys
from pathlib import Path

import click
import msgspec

from durable_objects.embedded.snapshot import now
from saywhatwant.commands import options
from saywhatwant.commands.connect import default_url
from saywhatwant.commands.data_checks import data_checks
from saywhatwant.commands.finding import show
from saywhatwant.commands.server_checks import server_checks
from saywhatwant.settings import load


@click.command()
@options.data
@options.url
@options.runtime
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON list.")
def doctor(*, data: Path | None, url: str | None, runtime: str | None, as_json: bool) -> None:
    """Look at data, disk, clock, tokens, backups and the server: what is wrong, and what to do. Exits with 1 on a fault.

    It changes nothing, and a server may run.
    """
    settings = load(data=data, runtime=runtime)
    time = now()
    findings = [
        *data_checks(settings, time),
        *server_checks(url or default_url(settings), settings.token, now(), is_named=url is not None),
    ]
    if as_json:
        click.echo(msgspec.json.encode(findings).decode())
    else:
        show(findings)
    sys.exit(any(finding.state == "fault" for finding in findings))
