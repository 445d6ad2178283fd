"""The queue's events for the parts of a worker: one subscription, and each event decoded at most once, on demand."""

from collections.abc import Callable

from durable_objects import Events
from saywhatwant.queue.events import Event, parse
from saywhatwant.topology import Wall


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

    def __init__(self, wall: Wall) -> None:
        self._listeners: tuple[Listener, ...] = ()
        """Never changed but replaced, since a listener may subscribe another one or end itself."""
        stream = wall.events().stream  # type: ignore[attr-defined] # that of the one object, for the moment
        stream.offer = self._on_event  # # until it follows the stream in a task

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every event from now on; returns the function that ends it."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def _on_event(self, events: Events) -> None:
        for raw in events.data:
            event = QueueEvent(raw)
            for listener in self._listeners:
                listener(event)
