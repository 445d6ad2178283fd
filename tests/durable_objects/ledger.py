"""The object of these tests: an append-only list, kept in memory and in storage."""

import itertools
from typing import NamedTuple

from durable_objects import Context, DurableObject, Refusal

_instances = itertools.count(1)


class Entry(NamedTuple):
    """What one commit wrote."""

    seq: int
    text: str


class Closed(Refusal):
    """A refusal that reveals the last entry."""


def key_of(seq: int) -> str:
    return f"entry/{seq:08}"


class Ledger(DurableObject):
    """Entry n is written by commit n, so that every answer can be checked against the disk."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.instance = next(_instances)
        self.entries: list[Entry] = []
        after = ""
        while page := ctx.storage.list("entry/", after=after):
            self.entries += [Entry(int(key.removeprefix("entry/")), value.decode()) for key, value in page]
            after = page[-1][0]

    def append(self, text: str) -> Entry:
        entry = Entry(self.ctx.seq + 1, text)
        self.ctx.storage.put(key_of(entry.seq), text.encode())
        self.ctx.publish(f"{entry.seq} {text}".encode())
        self.entries.append(entry)
        return entry

    def keep(self, key: str, value: bytes) -> None:
        self.ctx.storage.put(key, value)

    def value(self, key: str) -> bytes | None:
        return self.ctx.storage.get(key)

    def last(self) -> Entry:
        return self.entries[-1] if self.entries else Entry(0, "")

    def texts(self) -> list[str]:
        return [entry.text for entry in self.entries]

    def which(self) -> int:
        """The number of this instance; another one means that the object was made from storage again."""
        return self.instance

    def announce(self, text: str) -> None:
        """A signal, which goes with no change."""
        self.ctx.signal(text.encode())

    def refuse(self) -> None:
        raise Closed(self.last().text)

    def append_and_refuse(self, text: str) -> None:
        self.append(text)
        raise Closed(text)

    def append_and_break(self, text: str) -> None:
        self.append(text)
        self.ctx.set_alarm(self.ctx.now())
        raise ZeroDivisionError(text)

    def break_down(self) -> None:
        raise ZeroDivisionError

    def set_alarm(self, at: int | None, text: str = "alarm set") -> Entry:
        self.ctx.set_alarm(at)
        return self.append(text)

    def alarm_at(self) -> int | None:
        return self.ctx.alarm_at

    def alarm(self) -> None:
        self.append("alarm ran")
