"""The queue's events for the parts of a worker: one subscription, and each event decoded at most once, on demand."""

from collections.abc import Callable

from durable_objects import Stub
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.events import Event, parse


class QueueEvent:
    """A published event, decoded on demand."""

    __slots__ = ("_decoded", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._decoded: Event | None = None

    @property
    def decoded(self) -> Event:
        """The event's fields."""
        if self._decoded is None:
            self._decoded = parse(self.raw)
        return self._decoded


Listener = Callable[[QueueEvent], None]


class QueueEvents:
    """Passes the queue's events to listeners, in the order in which they subscribed."""

    def __init__(self, queue: Stub[MessageQueue]) -> None:
        self._listeners: dict[Listener, None] = {}
        queue.subscribe(self._on_event)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every event from now on; returns the function that ends it."""
        self._listeners[listener] = None
        return lambda: self._listeners.pop(listener, None)

    def _on_event(self, raw: bytes) -> None:
        event = QueueEvent(raw)
        for listener in tuple(self._listeners):
            listener(event)
