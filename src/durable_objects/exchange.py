"""Requests to objects that live elsewhere, and answers, as bytes: for runtimes whose stubs send bytes to a host."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from durable_objects.codec import Codec
from durable_objects.contract import Events, EventStream, ObjectId, ObjectT, R, Stub
from durable_objects.errors import DurableObjectError, ErrorRecord, ObjectFailed
from durable_objects.keyed_stub import OnceStub
from durable_objects.methods import methods_of, name_of
from durable_objects.outbox import SentCall


class Call(Struct, tag=True, frozen=True):
    """A call on its way to its object."""

    to: ObjectId
    method: str
    arguments: Raw
    key: str | None = None
    fingerprint: bytes | None = None
    config: str | None = None
    """The digest of the configuration that the caller means, where a host has not compared it before."""


class Settle(Struct, tag=True, frozen=True):
    """A question: have other objects taken everything that this one has sent so far?"""

    to: ObjectId
    config: str | None = None


class Deliver(Struct, tag=True, frozen=True):
    """Calls that the object with the id ``sender`` has sent; the answer is the number of the last one that is taken."""

    to: ObjectId
    sender: str
    calls: list[SentCall]
    config: str | None = None


class Answer(Struct, frozen=True):
    """What a call returned, or its error."""

    result: Raw = Raw(b"null")
    error: ErrorRecord | None = None
    repeated: bool = False
    """Whether it is the answer of an earlier call with the same key."""


class EndOfEvents(Struct, tag=True, frozen=True):
    """No more events will come, because of this."""

    error: ErrorRecord


class SentEvents(Struct, tag=True, frozen=True):
    """The events of one call, or signals."""

    events: Events


Request = Call | Settle | Deliver
REQUEST = Codec(Request, json=True)
ANSWER = Codec(Answer, json=True)
EVENTS = Codec(SentEvents | EndOfEvents)


async def answer_call(stub: Stub[Any], cls: type[Any], call: Call) -> Answer:
    """Make a call of an object of ``cls``; raises what ``Stub.call`` raises, and ``ObjectFailed`` for one it does not take."""
    method = methods_of(cls).get(call.method)
    if method is None:
        raise ObjectFailed(f"{cls.__name__} has no method {call.method!r}")
    try:
        arguments = method.decode_arguments(call.arguments)
    except msgspec.ValidationError as error:
        raise ObjectFailed(f"{cls.__name__}.{call.method}: {error}") from error
    repeats: list[None] = []
    if call.key is not None:
        stub = stub.options(idempotency_key=call.key, fingerprint=call.fingerprint, on_repeat=lambda: repeats.append(None))
    result = await stub.call(getattr(cls, call.method), **arguments)
    return Answer(Raw(method.encode_result(result)), repeated=bool(repeats))


class ExchangingStub(OnceStub[ObjectT]):
    """A handle on an object elsewhere, whose subclass exchanges a request for its answer.

    Args:
        cls: the object's class.
        to: its address.
        config: see ``Call``.
    """

    def __init__(self, cls: type[ObjectT], to: ObjectId, config: str | None = None) -> None:
        self._cls = cls
        self._to = to
        self._config = config

    @abstractmethod
    async def exchange(self, request: Request) -> Answer:
        """Send a request and return its answer, which may be an error; raises ``OutcomeUnknown`` when none comes."""

    @abstractmethod
    def events(self, since: int | None = None) -> EventStream:
        """See ``contract.Stub``."""

    async def call_once(
        self,
        key: str | None,
        fingerprint: bytes | None,
        on_repeat: Callable[[], None] | None,
        method: Callable[..., R],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> R:
        """The call, or the first answer to its key."""
        name = name_of(self._cls, method)
        described = methods_of(self._cls)[name]
        arguments = Raw(described.encode_arguments(args, kwargs))
        answer = checked(await self.exchange(Call(self._to, name, arguments, key, fingerprint, self._config)))
        if answer.repeated and on_repeat is not None:
            on_repeat()
        try:
            result: R = described.decode_result(answer.result)
        except msgspec.ValidationError as error:
            raise ObjectFailed(f"{self._to.namespace}/{self._to.name} runs another version of its class: {error}") from error
        return result

    async def settle(self) -> None:
        """See ``contract.Stub``."""
        checked(await self.exchange(Settle(self._to, self._config)))


def checked(answer: Answer) -> Answer:
    """The answer; raises the error that came instead."""
    if answer.error is not None:
        raise DurableObjectError.from_record(answer.error)
    return answer
