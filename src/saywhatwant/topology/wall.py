"""The wall as the worker sees it, however many objects hold its messages."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from msgspec import Raw

from durable_objects import DurableObject, EventStream, Stub
from saywhatwant.message import NewMessage, Posted
from saywhatwant.queue.read_cache import Changes, Page
from saywhatwant.schemas import (
    BatchRequest,
    BatchResponse,
    CircuitReport,
    ClaimNextResponse,
    ClaimResponse,
    CompleteResponse,
    ExtendResponse,
    FailResponse,
    ListState,
    ProgressState,
    Reply,
    Stats,
)

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
ObjectT = TypeVar("ObjectT", bound=DurableObject)

Answer = Coroutine[Any, Any, T]


def bound(stub: Stub[ObjectT], method: Callable[Concatenate[ObjectT, P], R]) -> Callable[P, Answer[R]]:
    """``stub.call`` with its method given."""
    return cast("Callable[P, Answer[R]]", partial(stub.call, method))


class Wall(Protocol):
    """The methods of ``queue.MessageQueue``, with the same arguments, results and refusals; see there."""

    def post(self, new: NewMessage, key: str | None = None) -> Answer[Posted]: ...
    def read(
        self,
        since: int = 0,
        limit: int | None = None,
        *,
        newest_first: bool = True,
        before: int | None = None,
        conversation: str | None = None,
    ) -> Answer[Page]: ...
    def changes(self, since: int, limit: int | None = None) -> Answer[Changes]: ...
    def pending(self, limit: int, entity: str | None = None) -> Answer[list[Raw]]: ...
    def listing(self, state: ListState, limit: int) -> Answer[list[Raw]]: ...
    def claim(
        self,
        message_id: str,
        worker_id: str,
        *,
        entities: tuple[str, ...] | None = None,
        also: tuple[str, ...] = (),
        context: int = 0,
        unfenced: bool = False,
    ) -> Answer[ClaimResponse]: ...
    def claim_next(
        self,
        worker_id: str,
        entities: tuple[str, ...] | None = None,
        limit: int = 1,
        *,
        also: tuple[str, ...] = (),
        context: int = 0,
        unfenced: bool = False,
    ) -> Answer[ClaimNextResponse]: ...
    def extend(self, message_id: str, worker_id: str, attempt: int) -> Answer[ExtendResponse]: ...
    def complete(
        self, message_id: str, worker_id: str | None = None, attempt: int | None = None, reply: Reply | None = None
    ) -> Answer[CompleteResponse]: ...
    def fail(
        self, message_id: str, worker_id: str, attempt: int, error: str, *, retry: bool = True, detail: str = ""
    ) -> Answer[FailResponse]: ...
    def release(self, message_id: str, worker_id: str, attempt: int) -> Answer[FailResponse]: ...
    def progress(
        self, message_id: str, worker_id: str, attempt: int, text: str, state: ProgressState = "writing"
    ) -> Answer[None]: ...
    def retry(self, message_id: str) -> Answer[None]: ...
    def batch(self, request: BatchRequest) -> Answer[BatchResponse]: ...
    def report_circuit(self, report: CircuitReport) -> Answer[None]: ...
    def stats(self, entities: tuple[str, ...] = ()) -> Answer[Stats]: ...
    def events(self, since: int | None = None) -> EventStream:
        """The events of the wall's objects; see ``durable_objects.Stub.events``."""
