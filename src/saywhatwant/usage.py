"""What a server has used, in the units that clouds bill."""

from typing import Self

from msgspec import Struct

from durable_objects import Meter


class Usage(Struct, frozen=True, rename="camel"):
    """What this server has counted since it started, in the units that clouds bill (see ``durable_objects.meter``)."""

    since: int
    """When it started to count, in milliseconds since 1970."""
    round_trips: int
    """Messages that were taken and ask for an answer."""
    requests: int
    socket_messages: int
    alarm_calls: int
    rows_read: int
    rows_written: int
    alarms_set: int
    active_ms: int

    @classmethod
    def of(cls, meter: Meter) -> Self:
        """The usage that ``meter`` has counted."""
        return cls(
            since=meter.since_ms,
            round_trips=meter.served,
            requests=meter.requests,
            socket_messages=meter.socket_frames,
            alarm_calls=meter.alarm_calls,
            rows_read=meter.rows_read,
            rows_written=meter.rows_written,
            alarms_set=meter.alarms_set,
            active_ms=round(meter.active_ms),
        )
