"""Calls of other objects that could not be taken yet: they wait in rows of their receiver, so that its key is not blocked.

The row of the sender says that some wait; its later calls queue behind them. A delayed call, ``retake``, tries again. The
sender gets to know, so that it does not send without end.
"""

import logging
from collections.abc import Callable

import msgspec

from durable_objects.alarms import retry_ms
from durable_objects.inbox import take
from durable_objects.outbox import SentCall
from durable_objects.restate.encoding import RETAKE, Later, Retake, Sent
from durable_objects.restate.held_object import HeldObject
from durable_objects.restate.replica import Missing
from durable_objects.storage import RUNTIME_PREFIX

log = logging.getLogger("durable_objects")

LATE = f"{RUNTIME_PREFIX}late/"
"""What the keys of rows begin with that say that calls of a sender wait; its id follows."""
_CALLS = f"{RUNTIME_PREFIX}late-calls/"
_PAGE = 50
_decode = msgspec.json.Decoder(SentCall).decode


def take_all(held: HeldObject, sent: Sent, clock: Callable[[], int]) -> list[Later]:
    """Take calls that another object has sent, or let them wait; returns the delayed call that this needs."""
    late = held.live.storage.runtime.get(LATE + sent.sender) is not None
    for index, encoded in enumerate(sent.calls):
        is_full = held.is_full
        if late or is_full or not _takes(held, sent.sender, _decode(encoded)):
            for waiting in sent.calls[index:]:
                held.live.storage.runtime.put(_key(sent.sender, _decode(waiting).number), waiting)
            if not late:
                held.live.storage.runtime.put(LATE + sent.sender, b"")
                held.tell(sent.sender, len(sent.calls) - index)
            held.live.storage.stage()
            return [] if late else [_retake(Retake(sent.sender, 0 if is_full else 1), clock)]
    return []


def retake(held: HeldObject, again: Retake, clock: Callable[[], int]) -> list[Later]:
    """Try again; returns the delayed call of the next attempt."""
    sender = again.sender
    page = held.live.storage.runtime.list(_prefix(sender), limit=_PAGE)
    for key, encoded in page:
        if held.is_full:
            return [_retake(Retake(sender, 0), clock)]
        if not _takes(held, sender, _decode(encoded), late=key):
            failures = again.failures + 1 if key == page[0][0] else 1
            return [_retake(Retake(sender, failures), clock)]
    if len(page) == _PAGE:
        return [_retake(Retake(sender, 0), clock)]
    held.live.storage.runtime.delete(LATE + sender)
    held.tell(sender, 0)
    held.live.storage.stage()
    return []


def _takes(held: HeldObject, sender: str, call: SentCall, late: str | None = None) -> bool:
    """Whether it has taken the call; then with its row of late ones, if it has one, removed."""
    try:
        live = held.ready()
        take(live, sender, call)
        if late is not None:
            live.storage.runtime.delete(late)
        held.stage()
    except Missing:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, the call must not be lost, nor the process end
        log.warning("%s has not taken a call of %s: %s", held.object_id, sender, error)
        return False
    return True


def _retake(again: Retake, clock: Callable[[], int]) -> Later:
    """The delayed call that tries again: at once if nothing has failed."""
    return Later("retake", RETAKE.encode(again), clock() + (retry_ms(again.failures) if again.failures else 0))


def _prefix(sender: str) -> str:
    """What the keys of all calls of ``sender`` that wait begin with, and no others: a name may contain slashes."""
    return f"{_CALLS}{len(sender)}/{sender}/"


def _key(sender: str, number: int) -> str:
    return f"{_prefix(sender)}{number:019}"


def sender_of(key: str) -> str | None:
    """The id of the object whose call waits in the row with this key; None for any other row."""
    if not key.startswith(_CALLS):
        return None
    length, _, rest = key[len(_CALLS) :].partition("/")
    return rest[: int(length)]
