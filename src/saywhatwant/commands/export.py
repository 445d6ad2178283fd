"""``sww export``: a whole wall in one file."""

import asyncio
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

from durable_objects import SourceChanged
from durable_objects.export_file import ExportWriter, Header
from durable_objects.transfer import ObjectSource
from saywhatwant.commands import options
from saywhatwant.commands.moved import TOPOLOGY, Moved
from saywhatwant.commands.runtimes import open_source
from saywhatwant.settings import Settings, WrongSettings, load
from saywhatwant.topology import record

ATTEMPTS = 5
"""How often a wall is read whose objects change meanwhile by themselves."""
RECORD_ID = f"{record.NAMESPACE}/{record.NAME}"


@click.command()
@click.argument("file", type=options.PATH)
@options.data
@options.runtime
@options.restate
@options.restate_admin
def export(*, file: Path, data: Path | None, runtime: str | None, restate: str | None, restate_admin: str | None) -> None:
    """Write the whole wall into FILE, which `sww import` makes a wall from again. Stop the server first; the data stays."""
    settings = load(data=data, runtime=runtime, restate=restate, restate_admin=restate_admin)
    topology, moved = asyncio.run(_export(settings, file))
    click.echo(f"{moved} to {file} ({file.stat().st_size:,} bytes); its topology is {topology}")


async def _export(settings: Settings, file: Path) -> tuple[str, Moved]:
    async with open_source(settings) as source:
        for _ in range(ATTEMPTS - 1):
            try:
                return await _write(source, settings, file)
            except SourceChanged as error:  # an alarm, perhaps
                click.echo(f"sww: reading all again: {error}", err=True)
        return await _write(source, settings, file)


async def _write(source: ObjectSource, settings: Settings, file: Path) -> tuple[str, Moved]:
    objects = await source.objects()
    if not objects:
        raise WrongSettings("there is no wall to export")
    objects.sort(key=lambda object_id: object_id != RECORD_ID)  # the first one, since a server calls it first
    topology = await _topology(source, objects)
    header = Header(
        data_version=source.data_version,
        made_by=f"saywhatwant {version('saywhatwant')}, {settings.runtime}",
        made_at=f"{datetime.now(UTC):%FT%TZ}",
        facts={TOPOLOGY: topology},
    )
    moved = Moved("exported")
    with ExportWriter(file, header) as writer:
        for object_id in objects:
            async for piece in source.pieces(object_id):
                writer.write(piece)
                moved.add(piece)
        await source.check()
        writer.finish()
    return topology, moved


async def _topology(source: ObjectSource, objects: list[str]) -> str:
    """The topology of the data; version 1 has no record of it."""
    if RECORD_ID in objects:
        async for piece in source.pieces(RECORD_ID):
            for key, value in piece.rows:
                if key == record.KEY:
                    return record.decode(value).topology
    return "single"
