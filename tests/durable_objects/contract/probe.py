"""The object of the contract's tests: it does one thing at a time, as it is asked."""

from typing import NamedTuple

from msgspec import Struct

from durable_objects import Context, DurableObject, ObjectId, Refusal, Replay, read


class Occupied(Refusal):
    """A refusal with facts of its own."""

    def __init__(self, key: str, holders: int) -> None:
        super().__init__(f"{key} is taken", key=key, holders=holders)


class Counted(NamedTuple):
    """What a count returns."""

    seq: int
    total: int


class Rules(Struct, frozen=True):
    """The configuration."""

    step: int = 1
    words: tuple[str, ...] = ()


class Probe(DurableObject):
    """A total in storage, each change of which is an event."""

    def __init__(self, ctx: Context, rules: Rules) -> None:
        super().__init__(ctx)
        self.rules = rules
        stored = ctx.storage.get("total")
        self.total = 0 if stored is None else int(stored)

    def count(self, by: int = 1, *, note: str = "") -> Counted:
        self.total += by * self.rules.step
        self.ctx.storage.put("total", b"%d" % self.total)
        self.ctx.storage.put(f"change/{self.ctx.seq + 1:06}", f"{self.total}{note}".encode())
        self.ctx.publish(f"{self.total}{note}".encode())
        return Counted(self.ctx.seq + 1, self.total)

    @read
    def look(self) -> Counted:
        return Counted(self.ctx.seq, self.total)

    def refuse(self, key: str) -> None:
        raise Occupied(key, 3)

    def count_and_refuse(self) -> None:
        self.count()
        self.ctx.set_alarm(self.ctx.now())
        raise Occupied("late", 1)

    def count_and_fail(self) -> None:
        self.count()
        self.ctx.signal(b"never")
        raise ZeroDivisionError("half done")

    def put(self, key: str, value: bytes) -> None:
        self.ctx.storage.put(key, value)

    def put_many(self, number: int) -> None:
        for n in range(number):
            self.ctx.storage.put(f"many/{n}", b"")

    def delete(self, key: str) -> None:
        self.ctx.storage.delete(key)

    @read
    def entries(self, prefix: str = "", *, after: str = "", limit: int = 1_000) -> list[tuple[str, bytes]]:
        return [*self.ctx.storage.list(prefix, after=after, limit=limit)]

    def draw(self) -> tuple[float, int, int]:
        return self.ctx.random.random(), self.ctx.random.getrandbits(64), self.ctx.now()

    def ask_others(self, names: list[str], by: list[int]) -> None:
        """Send to each of the objects: for each number a count, with a refusal between two."""
        for name in names:
            for number in by:
                self.ctx.send(ObjectId("Probe", name), Probe.count, number, note=f" from {self.ctx.name}")
                self.ctx.send(ObjectId("Probe", name), Probe.refuse, "seat")

    def ask_and_fail(self, name: str) -> None:
        self.ctx.send(ObjectId("Probe", name), Probe.count)
        raise ZeroDivisionError

    def announce(self, text: str) -> None:
        self.ctx.signal(text.encode())

    def wake_at(self, at: int | None) -> None:
        self.ctx.set_alarm(at)

    def alarm_at(self) -> int | None:
        return self.ctx.alarm_at

    def alarm(self) -> None:
        self.count(note=" by alarm")

    @read
    def replay(self, since: int) -> Replay:
        missed = self.ctx.storage.list("change/", after=f"change/{since:06}", limit=2)
        seq = self.ctx.seq if len(missed) < 2 else int(missed[-1][0].removeprefix("change/"))
        return Replay(seq, [(int(key.removeprefix("change/")), (value,)) for key, value in missed], more=seq < self.ctx.seq)
