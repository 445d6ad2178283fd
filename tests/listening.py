"""Events for tests that look at them between two steps, without a task that follows them."""

from typing import Any

from durable_objects import DurableObjectError, Stub
from durable_objects.event_streams import QueuedEventStream


class Listener:
    """What objects of this process have published and signalled since it was made; the end of a stream ends it quietly."""

    def __init__(self, *stubs: Stub[Any]) -> None:
        self._streams: list[QueuedEventStream] = []
        for stub in stubs:
            stream = stub.events()
            assert isinstance(stream, QueuedEventStream)
            self._streams.append(stream)
        self._heard: list[bytes] = []

    def heard(self) -> list[bytes]:
        """All events so far; those of different objects in the order of the objects, if they came since the last look."""
        for stream in list(self._streams):
            try:
                while (events := stream.get_nowait()) is not None:
                    self._heard += events.data
            except DurableObjectError:
                self._streams.remove(stream)
        return list(self._heard)

    def take(self) -> list[bytes]:
        """The events since the last ``take``."""
        heard, self._heard = self.heard(), []
        return heard

    async def aclose(self) -> None:
        """Listen no more."""
        for stream in self._streams:
            await stream.aclose()


def listen(*stubs: Stub[Any]) -> Listener:
    """Listen from now on."""
    return Listener(*stubs)
