"""``sww import``: makes a wall from a file that ``sww export`` has written."""

import asyncio
from pathlib import Path

import click
from msgspec.structs import replace

from durable_objects.export_file import ExportReader
from durable_objects.transfer import Piece
from saywhatwant.commands import options
from saywhatwant.commands.moved import TOPOLOGY, Moved
from saywhatwant.commands.runtimes import open_target
from saywhatwant.queue import standing
from saywhatwant.settings import Settings, WrongSettings, load
from saywhatwant.topology.record import CONVERSIONS


@click.command("import")
@click.argument("file", type=options.PATH)
@options.data
@options.runtime
@options.restate
@options.restate_admin
def import_(*, file: Path, data: Path | None, runtime: str | None, restate: str | None, restate_admin: str | None) -> None:
    """Make a wall from FILE, which `sww export` wrote: all of it or, after an error or a crash, nothing.

    Where it goes there must be none yet. The messages keep their ids, timestamps and numbers; what was not answered yet is
    answered there, and a repeated post gets its first answer.
    """
    settings = load(data=data, runtime=runtime, restate=restate, restate_admin=restate_admin)
    moved = asyncio.run(_import(settings, file))
    click.echo(f"{moved} from {file}")


async def _import(settings: Settings, file: Path) -> Moved:
    with ExportReader(file) as reader:
        summary = reader.check()
        _check_topology(reader.header.facts.get(TOPOLOGY), settings, file)
        moved = Moved("imported")
        async with open_target(settings) as target:
            await target.begin(reader.header.data_version, bytes.fromhex(summary.digest))
            for piece in map(_without_bots, reader.pieces()):
                await target.write(piece)
                moved.add(piece)
            await target.finish()
    return moved


def _without_bots(piece: Piece) -> Piece:
    """The piece without the bots that stood in line at the old wall: messages would be handed to sockets that are gone."""
    return replace(piece, rows=[row for row in piece.rows if not row[0].startswith(standing.PREFIX)])


def _check_topology(found: str | None, settings: Settings, file: Path) -> None:
    """Raise ``WrongSettings`` when the settings name another topology than the file has."""
    if found is None:
        raise WrongSettings(f"{file} is an export of durable objects, but not of a wall")
    if found != settings.topology:
        what = f"SWW_TOPOLOGY is {settings.topology}, but the wall in {file} has the topology {found}"
        then = (found, settings.topology) in CONVERSIONS
        way = f", then convert it with sww migrate --topology {settings.topology}" if then else ""
        raise WrongSettings(f"{what}: import it with SWW_TOPOLOGY={found}{way}")
