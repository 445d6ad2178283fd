"""A sender and a receiver, while calls of the one are on their way to the other, and who waits until they are taken."""

from typing import TYPE_CHECKING

from durable_objects.errors import OutcomeUnknown

if TYPE_CHECKING:
    import asyncio


class Settling:
    """One ``settle``, which waits for several pairs."""

    __slots__ = ("future", "pairs")

    def __init__(self, future: "asyncio.Future[None]", pairs: int) -> None:
        self.future = future
        self.pairs = pairs

    def one_less(self) -> None:
        """One of the pairs has taken everything."""
        self.pairs -= 1
        if not self.pairs and not self.future.done():
            self.future.set_result(None)

    def fail(self, error: OutcomeUnknown) -> None:
        """A delivery of one of the pairs has failed."""
        if not self.future.done():
            self.future.set_exception(error)


class Pair:
    """What one object has sent to another, while anything is left to deliver."""

    __slots__ = ("active", "failures", "newest", "problem", "receiver", "sender", "taken", "waiters")

    def __init__(self, sender: str, receiver: str, taken: int) -> None:
        self.sender = sender
        self.receiver = receiver
        self.newest = taken
        """No durable call has a higher number."""
        self.taken = taken
        """The receiver has taken all calls up to this number."""
        self.active = False
        """Whether a delivery is running, or waits for its turn."""
        self.failures = 0
        self.problem: str | None = None
        """Why the last delivery failed, if it did."""
        self.waiters: list[tuple[int, Settling]] = []
        """Who waits until calls up to a number are taken."""

    def release(self) -> None:
        """Continue those whose calls are taken."""
        for number, waiter in self.waiters:
            if number <= self.taken:
                waiter.one_less()
        self.waiters = [(number, waiter) for number, waiter in self.waiters if number > self.taken]

    def fail(self, why: object) -> None:
        """End the wait of all."""
        for _, waiter in self.waiters:
            waiter.fail(self.not_taken(why))
        self.waiters = []

    def not_taken(self, why: object) -> OutcomeUnknown:
        """What those who wait get."""
        return OutcomeUnknown(f"{self.receiver} has not taken all calls of {self.sender} yet: {why}")
