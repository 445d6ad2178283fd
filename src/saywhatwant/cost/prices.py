"""The prices, in one table with a date. Everything else counts."""

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

from saywhatwant.errors import ExpectedError

MILLION = 1_000_000


class WrongPrices(ExpectedError):
    """A file or an option that names no price, or gives it a value that is none."""


class Prices(Struct, frozen=True, forbid_unknown_fields=True):
    """Dollars for a million, beyond what a plan includes. The defaults are Cloudflare's published prices."""

    as_of: str = "2026-11-26"
    """When these prices were looked up."""
    source: str = "https://developers.cloudflare.com/durable-objects/platform/pricing/"
    object_requests: float = 0.15
    """Requests to Durable Objects: HTTP, handshakes of WebSockets, calls, alarms."""
    socket_messages_per_request: int = 20
    """So many incoming WebSocket messages are one request; outgoing ones cost nothing."""
    rows_read: float = 0.001
    rows_written: float = 1.00
    """SQLite rows, written or deleted; an alarm that is set is one."""
    duration_gb_s: float = 12.50
    """Gigabyte-seconds of wall-clock time in which an object is active."""
    object_gb: float = 0.128
    """What an object is billed for, whatever it uses."""
    worker_requests: float = 0.30
    """Requests to the Worker in front; what it passes on without being called costs none."""
    key_value_reads: float = 0.50
    key_value_writes: float = 5.00
    """Workers KV, on which the original wall was."""
    event_ms: float = 5.0
    """No price: how long an object is active for one request, message or alarm, besides what it waits for. The virtual clock
    stands still meanwhile. The original's operators saw 2 to 5 ms."""
    wake_ms: float = 50.0
    """No price: the same for what it takes to make the object from its storage."""


def load_prices(file: Path | None = None, **changes: str) -> Prices:
    """The prices, those of a TOML file and ``changes`` in place of the defaults; raises ``WrongPrices``."""
    try:
        given = {} if file is None else tomllib.loads(file.read_text())
        return msgspec.convert(given | changes, Prices, strict=False)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        where = "a price" if file is None else str(file)
        raise WrongPrices(f"{where}: {error}; known: {', '.join(Prices.__struct_fields__)}") from error
