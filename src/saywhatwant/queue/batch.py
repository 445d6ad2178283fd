"""Which messages an operator's batch changes: the ones that it names, those to an entity, or all."""

from itertools import islice

from msgspec import UNSET

from saywhatwant.errors import UnknownMessage, WrongState
from saywhatwant.limits import MAX_BATCH
from saywhatwant.message import Message
from saywhatwant.queue.index import Index
from saywhatwant.schemas import BatchRequest


def choose(index: Index, request: BatchRequest) -> tuple[list[Message], bool]:
    """Up to ``MAX_BATCH`` messages that ``request`` changes, and whether there are more.

    ``fail`` is for unfinished messages, ``retry`` for failed ones that are not hidden, ``discard`` for all failed ones. Raises
    ``UnknownMessage`` or ``WrongState`` for the first one of ``messageIds`` that is not.
    """
    if request.message_ids is not None:
        return [_named(index, request, message_id) for message_id in dict.fromkeys(request.message_ids)], False
    candidates = index.unfinished(request.entity) if request.action == "fail" else index.all_failed(request.entity)
    if request.action == "retry":
        candidates = (message for message in candidates if message.hidden is UNSET)
    found = list(islice(candidates, MAX_BATCH + 1))
    return found[:MAX_BATCH], len(found) > MAX_BATCH


def _named(index: Index, request: BatchRequest, message_id: str) -> Message:
    message = index.get(message_id)
    if message is None:
        raise UnknownMessage("messageIds", message_id)
    status = message.bot_params.status
    if request.action == "fail":
        if status in {"complete", "failed"}:
            raise WrongState(f"the message {message_id!r} is {status}, not pending or processing", "messageIds")
    elif status != "failed":
        raise WrongState(f"the message {message_id!r} is {status}, not failed", "messageIds")
    elif request.action == "retry" and message.hidden is not UNSET:
        raise WrongState(f"the message {message_id!r} is hidden", "messageIds")
    return message
