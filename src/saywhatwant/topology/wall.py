"""The wall as the worker sees it, however many objects hold its messages."""

from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from msgspec import Raw, Struct

from durable_objects import DurableObject, ObjectId, Stub
from saywhatwant.message import NewMessage, Posted
from saywhatwant.moderation.held import HeldPost
from saywhatwant.moderation.schemas import HiddenMessage, ModerationResponse
from saywhatwant.overview import Overview, Story
from saywhatwant.queue.standing import Hold, Stand
from saywhatwant.queue.waiting import Wait
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
from saywhatwant.tally import Tally
from saywhatwant.topology.position import Position, WallEvents

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
ObjectT = TypeVar("ObjectT", bound=DurableObject)

Answer = Coroutine[Any, Any, T]


def bound(stub: Stub[ObjectT], method: Callable[Concatenate[ObjectT, P], R]) -> Callable[P, Answer[R]]:
    """``stub.call`` with its method given."""
    return cast("Callable[P, Answer[R]]", partial(stub.call, method))


def by_id(ask: Callable[..., Answer[Any]], method: Callable[Concatenate[ObjectT, P], R]) -> Callable[P, Answer[R]]:
    """``ask`` with its method given: it calls the method at the object of the message whose id is the first argument."""
    return cast("Callable[P, Answer[R]]", partial(ask, method))


class WallPage(Protocol):
    """Messages as one JSON list; see ``queue.read_cache.Page``."""

    @property
    def body(self) -> Raw: ...
    @property
    def cut_at(self) -> int | None: ...
    @property
    def etag(self) -> bytes:
        """The position that they were read at, as a strong ETag."""


class WallChanges(Struct, frozen=True):
    """Encoded messages, and the position up to which they are all changes."""

    position: Position
    messages: list[Raw]
    more: bool = False
    """Whether later commits have changed more."""
    reset: bool = False
    """Whether the position was of another time; then these are the first of all messages, and not what its reader lacks."""


class WallEventStream(Protocol):
    """The events of the wall's objects: those of one object in order, none skipped or repeated. Close it at the end."""

    def __aiter__(self) -> AsyncIterator[WallEvents]: ...
    async def __anext__(self) -> WallEvents: ...
    def get_nowait(self) -> WallEvents | None:
        """The next events if they are here already, else None; raises the error that the stream has ended with."""

    async def aclose(self) -> None:
        """End it."""


class Standing(Protocol):
    """How bots on sockets get work, where one object has it all; see ``queue.MessageQueue``."""

    def stand(self, stand: Stand, holds: tuple[Hold, ...] = (), resumes: str | None = None) -> Answer[list[Hold]]: ...
    def leave(self, socket: str, *, give_back: bool = True) -> Answer[None]: ...
    def held(self, message_id: str, attempt: int, context: int) -> Answer[ClaimResponse]: ...
    def stand_at(self, socket: str) -> Answer[Stand | None]: ...
    def sockets(self) -> Answer[list[str]]: ...


class Wall(Protocol):
    """The methods of ``queue.MessageQueue``, with the same arguments, results and refusals; see there.

    What names a commit there names a ``Position`` here.

    **How a claim waits.** ``claim_next(..., wait=Wait(ticket, left_ms))`` that finds nothing stores the ticket in the object.
    When a message for it becomes claimable, the object takes out the ticket that has waited longest, and publishes an event of
    the type ``work`` with the ticket, its ``since`` and the message's id, in the commit that made the message claimable. The
    gateway that owns the ticket claims again, with ``since`` and ``woken_for`` from the event: ``since`` keeps its place if it
    has to wait again, and ``woken_for`` wakes the next claim if this one takes another message. A claim that ends without a
    message before its time is up calls ``cancel``. The event may come before or after the answer of the call that stored the
    ticket, twice, or never.

    **Over several objects,** each one has its own tickets, under the same name. ``claim_next`` asks the objects that may have
    work, in turn, with the same ``wait``, until one returns messages; each object that returns nothing keeps the ticket, and
    ignores those messages in ``woken_for`` that it does not know. After one object has returned messages, ``cancel`` the ticket
    at the others that have it. If one of them has woken it meanwhile, nothing is lost: the gateway gives that work back with
    ``cancel(ticket, woken_for)``. ``cancel`` goes to all objects that may have the ticket and to those of the messages; the
    others ignore it.
    """

    @property
    def standing(self) -> Standing | None:
        """Where the object hands each message over to a bot; None where several objects have the work, and bots must claim it.

        A bot's hands are one number for all its work. Several objects could share it only by asking each other, so there the
        gateway claims for its sockets, one message after another, as bots without sockets do.
        """

    def post(self, new: NewMessage, key: str | None = None) -> Answer[Posted]:
        """Post a message. With ``key``, or else an ``id`` in the message, a retry gets the first answer (P7).

        Raises ``KeyReused``, ``KeysFull``, and what ``MessageQueue.post`` raises.
        """

    def read(
        self,
        since: int = 0,
        limit: int | None = None,
        *,
        newest_first: bool = True,
        before: int | None = None,
        conversation: str | None = None,
    ) -> Answer[WallPage]: ...
    def changes(self, since: Position, limit: int | None = None) -> Answer[WallChanges]: ...
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
        wait: Wait | None = None,
    ) -> Answer[ClaimNextResponse]: ...
    def cancel(self, ticket: str, woken_for: tuple[str, ...] = ()) -> Answer[None]: ...
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
    def retry(self, message_id: str, by: str | None = None) -> Answer[None]: ...
    def batch(self, request: BatchRequest, by: str | None = None) -> Answer[BatchResponse]: ...
    def message(self, message_id: str) -> Answer[Raw]: ...
    def place_of(self, held: HeldPost) -> Answer[ObjectId]:
        """The object that makes the message of a reviewed post, where the id is found later."""

    def hide(
        self, message_id: str, reason: str = "", *, name: bool = False, by: str | None = None
    ) -> Answer[ModerationResponse]: ...
    def restore(self, message_id: str, reason: str = "", *, by: str | None = None) -> Answer[ModerationResponse]: ...
    def erase(
        self, message_id: str, reason: str = "", *, name: bool = False, by: str | None = None
    ) -> Answer[ModerationResponse]:
        """See ``Moderated.erase``; before that the message is hidden, and its text is removed from all contexts.

        If it is interrupted, the message is hidden at least, and the same call goes on.
        """

    def hidden(self, message_id: str) -> Answer[HiddenMessage]: ...
    def report_circuit(self, report: CircuitReport) -> Answer[None]: ...
    def stats(self, entities: tuple[str, ...] = ()) -> Answer[Stats]: ...
    def tally(self) -> Answer[Tally]: ...
    def overview(self, entities: tuple[str, ...] = ()) -> Answer[Overview]: ...
    def story(self, message_id: str) -> Answer[Story]: ...
    def position(self) -> Answer[Position]:
        """The position of a reader who has read everything."""

    def events(self, since: Position | None = None) -> WallEventStream:
        """The events of the wall's objects after ``since``, or from now on; see ``durable_objects.Stub.events``."""
