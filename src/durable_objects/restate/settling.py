"""Waiting until other objects have taken what one has sent."""

import asyncio
from typing import Final

from durable_objects.contract import ObjectId
from durable_objects.errors import OutcomeUnknown, Overloaded
from durable_objects.limits import MAX_COMMIT_WAIT_SECONDS
from durable_objects.restate.encoding import SENT_NUMBERS, TAKEN, TOOK, Taken, Took
from durable_objects.restate.ingress import Ingress

_WAIT_SECONDS: Final = 5.0
"""How long one request waits for a receiver."""
_ANSWER_SECONDS: Final = 5.0
"""How long a node may take to answer, besides that."""
_RECEIVERS_AT_ONCE: Final = 64


async def settle(ingress: Ingress, sender: ObjectId) -> None:
    """Return once other objects have taken all calls that ``sender`` has sent so far.

    Raises ``OutcomeUnknown`` when one of them fails, or has not taken them after ``MAX_COMMIT_WAIT_SECONDS``, and
    ``RuntimeClosed``.
    """
    deadline = asyncio.get_running_loop().time() + MAX_COMMIT_WAIT_SECONDS
    turns = asyncio.Semaphore(_RECEIVERS_AT_ONCE)
    try:
        encoded = await ingress.send(sender, "sent", b"", deadline=deadline, attempt_seconds=_ANSWER_SECONDS)
        sent: dict[str, int] = SENT_NUMBERS.decode(encoded)
        waits = [_taken(ingress, sender, to, number, deadline, turns) for to, number in sent.items()]
        ends = await asyncio.gather(*waits, return_exceptions=True)
    except Overloaded as error:
        raise OutcomeUnknown(f"what {sender.namespace}/{sender.name} has sent is not known: {error}") from error
    for end in ends:
        if isinstance(end, BaseException):
            raise end


async def _taken(
    ingress: Ingress, sender: ObjectId, receiver: str, number: int, deadline: float, turns: asyncio.Semaphore
) -> None:
    namespace, _, name = receiver.partition("/")
    sender_id = f"{sender.namespace}/{sender.name}"
    loop = asyncio.get_running_loop()
    while True:
        async with turns:
            wait = min(_WAIT_SECONDS, max(deadline - loop.time(), 0))
            encoded = await ingress.send(
                ObjectId(namespace, name),
                "taken",
                TAKEN.encode(Taken(sender_id, number, round(wait * 1_000))),
                deadline=deadline + _ANSWER_SECONDS,
                attempt_seconds=wait + _ANSWER_SECONDS,
            )
        took: Took = TOOK.decode(encoded)
        if took.taken:
            return
        if took.failed:
            raise OutcomeUnknown(f"{receiver} could not take a call of {sender_id}; it will be delivered again")
        if loop.time() >= deadline:
            raise OutcomeUnknown(f"{receiver} has not taken the calls of {sender_id} for {MAX_COMMIT_WAIT_SECONDS} seconds")
