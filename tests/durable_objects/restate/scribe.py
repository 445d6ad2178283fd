"""The object of the tests of Restate's objects: a list that grows, each entry a row, with alarms and calls to others."""

import os

from durable_objects import Context, DurableObject, ObjectId, Refusal, Replay, read


class Full(Refusal):
    """A refusal that reveals the last entry."""


class Scribe(DurableObject):
    """Entry n is in row n. It keeps only their number in memory, and reads the rest when it is asked."""

    unwilling = 0
    """How many calls of ``note`` will fail before one works, of all objects."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        count = ctx.storage.get("count")
        self.count = 0 if count is None else int(count)

    def append(self, text: str) -> int:
        """Append an entry; returns its number."""
        self.count += 1
        self.ctx.storage.put(f"entry/{self.count:06}", text.encode())
        self.ctx.storage.put("count", b"%d" % self.count)
        self.ctx.storage.put(f"event/{self.ctx.seq + 1:06}", text.encode())
        self.ctx.publish(text.encode())
        return self.count

    def append_and_fail(self, text: str) -> None:
        self.append(text)
        raise ZeroDivisionError

    def append_and_refuse(self, text: str) -> None:
        self.append(text)
        raise Full(text)

    def append_and_return(self, text: str, mebibytes: int) -> str:
        """Append an entry; returns as much."""
        self.append(text)
        return "x" * (mebibytes << 20)

    @read
    def texts(self, *, page: int = 3) -> list[str]:
        """All entries, read page by page."""
        found: list[str] = []
        after = ""
        while entries := self.ctx.storage.list("entry/", after=after, limit=page):
            found += [value.decode() for _, value in entries]
            after = entries[-1][0]
        return found

    @read
    def text(self, number: int) -> str | None:
        found = self.ctx.storage.get(f"entry/{number:06}")
        return None if found is None else found.decode()

    def drop_first(self) -> str | None:
        """Delete the first entry; returns what it was."""
        for key, value in self.ctx.storage.list("entry/", limit=1):
            self.ctx.storage.delete(key)
            return value.decode()
        return None

    def tell(self, name: str, texts: list[str]) -> None:
        """Send texts to another object, and one call that it refuses."""
        for text in texts:
            self.ctx.send(ObjectId("Scribe", name), Scribe.note, text)
        self.ctx.send(ObjectId("Scribe", name), Scribe.append_and_refuse, "refused")

    def tell_and_fail(self, name: str) -> None:
        self.tell(name, ["never"])
        raise ZeroDivisionError

    def note(self, text: str) -> None:
        """What others send."""
        if Scribe.unwilling:
            Scribe.unwilling -= 1
            raise ZeroDivisionError("not now")
        self.append(text)

    def be_unwilling(self, count: int) -> None:
        """Let calls that others send fail, so many times."""
        Scribe.unwilling = count

    def process(self) -> int:
        """Which process runs it."""
        return os.getpid()

    def wake_at(self, at: int | None) -> None:
        self.ctx.set_alarm(at)

    def alarm(self) -> None:
        if Scribe.unwilling:
            Scribe.unwilling -= 1
            raise ZeroDivisionError("not now")
        self.append("alarm")

    def announce(self, text: str) -> None:
        self.ctx.signal(text.encode())

    @read
    def seq(self) -> int:
        return self.ctx.seq

    @read
    def replay(self, since: int) -> Replay:
        missed = self.ctx.storage.list("event/", after=f"event/{since:06}")
        return Replay(self.ctx.seq, [(int(key.removeprefix("event/")), (value,)) for key, value in missed])

    @read
    def break_the_mark(self) -> int:
        return self.append("by a read")
