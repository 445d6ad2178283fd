"""Events for tests that look at them between two steps."""

from collections.abc import Callable
from typing import Any

from durable_objects import Events, Stub


def listen(stub: Stub[Any], listener: Callable[[bytes], object]) -> Callable[[], None]:
    """Call ``listener`` for every event and signal, as soon as it is published; returns a function that ends it."""
    stream: Any = stub.events()
    live = True

    def offer(events: Events) -> None:
        for event in events.data if live else ():
            listener(event)

    def end() -> None:
        nonlocal live
        live = False

    stream.offer = offer
    return end
