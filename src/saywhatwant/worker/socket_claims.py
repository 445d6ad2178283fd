"""Claims for a bot's socket, where several objects have the work and none can hand it over: one message after another."""

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from durable_objects import DurableObjectError, Refusal
from saywhatwant import schemas
from saywhatwant.limits import MAX_WAIT_SECONDS
from saywhatwant.queue.events import ChangedMessage

if TYPE_CHECKING:
    from saywhatwant.worker.bot_desk import BotDesk
    from saywhatwant.worker.bot_session import BotSession

log = logging.getLogger("saywhatwant")

_claimed = msgspec.json.Decoder(ChangedMessage).decode


async def claim_forever(desk: "BotDesk", session: "BotSession") -> None:
    """Claim what the bot has hands free for, until its socket ends or the server stops."""
    while not (desk.waiters.is_closed or session.has_ended()) and session.worker_id is not None:
        session.changed.clear()
        names = session.free()
        if names == []:
            await session.changed.wait()
            continue
        try:
            found = await _claim(desk, session, session.worker_id, names)
        except DurableObjectError:
            await desk.sleep(1)
            continue
        except Exception:
            log.exception("a claim for a bot's socket failed")
            await desk.sleep(1)
            continue
        for raw in found.messages:
            message = _claimed(raw)
            if session.has_ended():
                await release(desk, session.worker_id, message.id, message.bot_params.attempt)
            else:
                session.give(message, raw, found.talks[message.id] if found.talks else UNSET)


async def _claim(desk: "BotDesk", session: "BotSession", worker_id: str, names: list[str] | None) -> schemas.ClaimNextResponse:
    async def out_of_date() -> None:
        await session.changed.wait()

    hands = session.hands
    return await desk.waiters.claim(
        worker_id,
        None if names is None else tuple(names),
        1,
        MAX_WAIT_SECONDS,
        out_of_date,
        also=tuple(hands.personas) if names is not None else (),
        context=hands.context,
    )


async def goes_on(desk: "BotDesk", worker_id: str, message_id: str, attempt: int) -> bool:
    """Whether the bot still has this attempt, from an earlier socket; if so its lease begins again."""
    try:
        await desk.calls.extend(schemas.ExtendRequest(message_id, worker_id, attempt))
    except Refusal:
        return False
    return True


async def release(desk: "BotDesk", worker_id: str, message_id: str, attempt: int) -> None:
    """Give a message back whose bot has left."""
    with suppress(DurableObjectError):  # its lease ends
        await desk.calls.release(schemas.ReleaseRequest(message_id, worker_id, attempt))
