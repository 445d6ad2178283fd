"""The object of the tests of ``send``: it writes down what it sends and what it takes."""

from durable_objects import Context, DurableObject, ObjectId, Refusal

broken: set[str] = set()
"""The objects that fail at the moment."""


class NotToday(Refusal):
    """What a courier answers to every fifth letter."""


class Letters(DurableObject):
    """Entries ``sent/`` name the receiver and the letter, entries ``got/`` the sender and the letter, both in order."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        if ctx.name in broken:
            raise ZeroDivisionError
        self.got = len(ctx.storage.list("got/"))
        self.sent = len(ctx.storage.list("sent/"))

    def write(self, *, to: list[str], alarm_at: int | None = None) -> None:
        """Send one letter to each; with ``alarm_at`` once more then."""
        self.ctx.set_alarm(alarm_at)
        for name in to:
            self.sent += 1
            self.ctx.storage.put(f"sent/{self.sent:06}", f"{name} {self.sent}".encode())
            self.ctx.send(ObjectId("Letters", name), Letters.take, self.ctx.name, number=self.sent)

    def write_and_break(self, *, to: list[str]) -> None:
        self.write(to=to)
        raise ZeroDivisionError

    def write_and_refuse(self, *, to: list[str]) -> None:
        self.write(to=to)
        raise NotToday

    def take(self, sender: str, number: int) -> int:
        if self.ctx.name in broken:
            raise ZeroDivisionError
        if number % 5 == 0:
            raise NotToday(f"letter {number} of {sender}")
        self.got += 1
        self.ctx.storage.put(f"got/{self.got:06}", f"{sender} {number}".encode())
        return self.got

    def alarm(self) -> None:
        self.write(to=["a", "b"])

    def read(self) -> int:
        return self.got
