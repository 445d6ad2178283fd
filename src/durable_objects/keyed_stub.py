"""What handles on objects have in common, wherever those live, and calls with an idempotency key."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic

from durable_objects.contract import DurableObject, EventStream, ObjectT, P, R, Replay, Stub
from durable_objects.idempotency import check_key


class OnceStub(ABC, Generic[ObjectT]):
    """The base of a ``contract.Stub`` that can make a call with a key."""

    __slots__ = ()

    async def call(self, method: Callable[Concatenate[ObjectT, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """See ``contract.Stub``."""
        return await self.call_once(None, None, None, method, args, kwargs)

    @abstractmethod
    async def call_once(
        self,
        key: str | None,
        fingerprint: bytes | None,
        on_repeat: Callable[[], None] | None,
        method: Callable[..., R],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> R:
        """The call, or the first answer to its key if it has one."""

    @abstractmethod
    def events(self, since: int | None = None) -> EventStream:
        """See ``contract.Stub``."""

    @abstractmethod
    async def settle(self) -> None:
        """See ``contract.Stub``."""

    def options(
        self, *, idempotency_key: str, fingerprint: bytes | None = None, on_repeat: Callable[[], None] | None = None
    ) -> Stub[ObjectT]:
        """See ``contract.Stub``."""
        check_key(idempotency_key, fingerprint)
        return KeyedStub(self, idempotency_key, fingerprint, on_repeat)

    async def _replay(self, since: int) -> Replay:
        return await self.call(DurableObject.replay, since)


class KeyedStub(Generic[ObjectT]):
    """A stub whose calls have an idempotency key, over one that makes them; see ``contract.Stub.options``."""

    __slots__ = ("_fingerprint", "_key", "_on_repeat", "_stub")

    def __init__(
        self, stub: OnceStub[ObjectT], key: str, fingerprint: bytes | None, on_repeat: Callable[[], None] | None
    ) -> None:
        self._stub = stub
        self._key = key
        self._fingerprint = fingerprint
        self._on_repeat = on_repeat

    def call(
        self, method: Callable[Concatenate[ObjectT, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]:
        """See ``contract.Stub``."""
        return self._stub.call_once(self._key, self._fingerprint, self._on_repeat, method, args, kwargs)

    def options(
        self, *, idempotency_key: str, fingerprint: bytes | None = None, on_repeat: Callable[[], None] | None = None
    ) -> Stub[ObjectT]:
        """See ``contract.Stub``."""
        return self._stub.options(idempotency_key=idempotency_key, fingerprint=fingerprint, on_repeat=on_repeat)

    def events(self, since: int | None = None) -> EventStream:
        """See ``contract.Stub``."""
        return self._stub.events(since)

    async def settle(self) -> None:
        """See ``contract.Stub``."""
        await self._stub.settle()
