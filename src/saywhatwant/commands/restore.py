"""``sww restore``: a new data directory from a backup."""

import asyncio
from functools import partial
from pathlib import Path

import click

from durable_objects.embedded.backup import read_manifest, shown
from durable_objects.embedded.restore import restore as restore_from
from durable_objects.embedded.snapshot import now
from saywhatwant.commands import options
from saywhatwant.commands.backup import check_runtime, no_room
from saywhatwant.commands.backup_facts import BESIDE
from saywhatwant.commands.backup_schedule import TIME
from saywhatwant.commands.backup_series import choose, newest_of
from saywhatwant.commands.erasing import erase_again
from saywhatwant.commands.erasures import known_beside, known_to, together
from saywhatwant.commands.moved import TOPOLOGY
from saywhatwant.commands.restored import begin_again
from saywhatwant.settings import WrongSettings, load
from saywhatwant.tokens import FILE as TOKENS_FILE
from saywhatwant.tokens import WrongTokens, read_tokens


@click.command()
@click.option("--from", "source", type=options.PATH, required=True, help="The backup, or a directory with several.")
@click.option("--at", type=TIME, show_default="the newest", help="As the wall was then, such as 2026-11-27T18:30:00Z.")
@click.option("--data", type=options.PATH, required=True, help="The new directory of the data.")
@click.option("--erased-in", type=options.PATH, help="Data or backups that know of further erased messages.")
@options.runtime
def restore(*, source: Path, at: int | None, data: Path, erased_in: Path | None, runtime: str | None) -> None:
    """Make a new data directory from a backup: all of it or, after an error or a crash, nothing.

    The backup stays as it is. Readers who knew more than the backup has are told so, and read the wall again. What this backup,
    or another one beside it, knows to be erased is erased from the new data.
    """
    settings = load(data=data, runtime=runtime)
    check_runtime(settings, "sww restore")
    backup = choose(source, at)
    manifest = read_manifest(backup)
    if TOPOLOGY not in manifest.facts:
        raise WrongSettings(f"{backup} is a backup of durable objects, but not of a wall")
    beside = [newest_of(backup, name) for name in BESIDE]
    erased = together((known_beside(backup), known_to(erased_in) if erased_in else {}))
    again: list[str] = []

    def finish(directory: Path) -> None:
        again.extend(asyncio.run(erase_again(directory, erased, settings)))

    try:
        found = restore_from(backup, data, at=at, change=partial(begin_again, now=now()), finish=finish, beside=beside)
    except OSError as error:
        raise no_room(error, data, manifest.bytes) from error
    topology = manifest.facts[TOPOLOGY]
    after = f"; {found.steps} changes after the backup" if found.steps else ""
    click.echo(f"restored the wall of {shown(found.time)} to {data} (from {backup}{after}; topology {topology})")
    if again:
        click.echo(f"erased again, as they were erased later: {' '.join(again)}")
    click.echo(f"start it with: {'' if topology == settings.topology else f'SWW_TOPOLOGY={topology} '}sww serve --data {data}")
    if (data / TOKENS_FILE).exists():
        click.echo(_tokens_of(data))


def _tokens_of(data: Path) -> str:
    """Which tokens the restored wall takes, so that nobody is surprised by an old one."""
    try:
        found = read_tokens(data / TOKENS_FILE)
    except WrongTokens as error:
        return f"tokens: {error}"
    named = ", ".join(f"{name} ({' and '.join(token.scopes)})" for name, token in sorted(found.items()))
    return f"tokens that are good now: {named or 'none'}"
