"""``sww migrate``: converts the data to another topology, while no server runs on it."""

import sqlite3
import time
from pathlib import Path
from typing import get_args

import click

from durable_objects.embedded.rewrite import rewrite
from saywhatwant.commands import options
from saywhatwant.commands.data_upgrade import UPGRADES
from saywhatwant.entities import Entities
from saywhatwant.settings import Settings, WrongSettings, load
from saywhatwant.topology import Topology, record
from saywhatwant.topology.migration import CannotMigrate, Converted, Data, Stored, others, to_per_entity, to_single

RECORD_ID = f"{record.NAMESPACE}/{record.NAME}"


@click.command()
@options.data
@click.option("--topology", type=click.Choice(get_args(Topology)), required=True, help="Convert to single or per-entity.")
def migrate(*, data: Path | None, topology: str) -> None:
    """Convert the data to another topology: nothing is lost, and after a crash it is what it was. Stop the server first."""
    settings = load(data=data)
    if not (settings.data / "objects.sqlite3").exists():
        raise WrongSettings(f"SWW_DATA {settings.data} has no data to convert")
    reports: list[str] = []
    rewrite(settings.data, lambda connection: reports.append(_convert(connection, settings, topology)), UPGRADES)
    click.echo(reports[-1])


def _convert(connection: sqlite3.Connection, settings: Settings, topology: str) -> str:
    data = _read(connection)
    found = data.pop(RECORD_ID, None)
    recorded = record.Recorded("single") if found is None else record.decode(found.entries[record.KEY])
    if recorded.topology == topology:
        return f"the data in {settings.data} has the topology {topology} already"
    kept = others(data)
    converted = _converted(data, recorded, settings, topology)
    converted.data |= kept
    converted.data[RECORD_ID] = Stored(1, None, {record.KEY: record.encode(converted.recorded)})
    _write(connection, converted.data)
    report = f"converted {converted.messages} messages in {settings.data} from {recorded.topology} to {topology}"
    return f"{report}; {converted.moved} have another timestamp, as several had the same" if converted.moved else report


def _converted(data: Data, recorded: record.Recorded, settings: Settings, topology: str) -> Converted:
    match recorded.topology, topology:
        case "single", "per-entity":
            served = Entities(settings.entities).current
            return to_per_entity(data, recorded, served=served, now=time.time_ns() // 1_000_000)
        case "per-entity", "single":
            return to_single(data, recorded)
    raise CannotMigrate(f"sww migrate converts single and per-entity into each other, not {recorded.topology} into {topology}")


def _read(connection: sqlite3.Connection) -> Data:
    heads = connection.execute("SELECT object, seq, alarm_at FROM heads")
    data = {object_id: Stored(seq, alarm_at) for object_id, seq, alarm_at in heads}
    for object_id, key, value in connection.execute("SELECT object, key, value FROM entries"):
        data.setdefault(object_id, Stored()).entries[key] = value
    return data


def _write(connection: sqlite3.Connection, data: Data) -> None:
    connection.execute("DELETE FROM entries")
    connection.execute("DELETE FROM heads")
    for object_id, stored in data.items():
        connection.execute("INSERT INTO heads VALUES (?, ?, ?)", (object_id, stored.seq, stored.alarm_at))
        rows = ((object_id, key, value) for key, value in stored.entries.items())
        connection.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
