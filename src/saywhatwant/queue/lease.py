"""The state machine of a message as work: each transition is a pure function that returns the changed message.

A deadline is never further ahead than its maximum (see ``clamped``), so a clock that was wrong for a moment cannot hold a
message for long.
"""

from random import Random

from msgspec import UNSET
from msgspec.structs import replace

from saywhatwant.errors import AttemptRequired, NotTheHolder, WrongState
from saywhatwant.limits import MAX_ERROR
from saywhatwant.message import Message
from saywhatwant.queue.config import QueueConfig

TOLERATED_STEP_MS = 1_000
"""How far the clock may step back without deadlines being moved."""

LATE_MS = 60 * 60 * 1_000
"""A wait that is overdue by this much ended while the server was stopped, or the clock has stepped forward."""
GRACE_MS = 60 * 1_000
"""How long such a wait is extended (but never beyond a whole wait), so that bots or the clock can come back."""

_UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))


# -- Checks


def is_claimable(message: Message) -> bool:
    """Whether the message is pending and does not back off; also while a due deadline waits for its alarm."""
    params = message.bot_params
    return params.status == "pending" and params.retry_at is None and message.hidden is UNSET


def check_claimable(message: Message, now: int, config: QueueConfig) -> None:
    """Raise ``WrongState`` unless the message may be claimed now."""
    check_visible(message)
    params = message.bot_params
    if params.status in {"complete", "failed"}:
        raise WrongState(f"the message is {params.status}, not pending")
    if params.retry_at is not None and params.retry_at > now:
        raise WrongState(f"the message backs off after a failure until {params.retry_at}")
    if params.lease_expires_at is not None:
        if params.lease_expires_at > now:
            raise WrongState(f"the message is processing: {params.claimed_by!r} holds it until {params.lease_expires_at}")
        # The lease has ended and the alarm is late: claimable, unless the end of the lease finishes the message.
        if params.answered_by is not None or params.tries >= config.max_attempts:
            raise WrongState("the message's last attempt has ended; it is about to be finished")


def check_visible(message: Message) -> None:
    """Raise ``WrongState`` for a hidden message."""
    if message.hidden is not UNSET:
        raise WrongState("the message is hidden")


def check_attempt(message: Message, attempt: int | None) -> None:
    """The fence (P3): raise ``NotTheHolder`` unless the call names the current attempt.

    It may name none while that is the first attempt, or one that was itself claimed unfenced.
    """
    current = message.bot_params.attempt
    if attempt is None:
        if current > 1 and message.bot_params.unfenced is UNSET:
            raise AttemptRequired(current)
    elif attempt != current:
        state = "is over" if attempt < current else "has not begun"
        raise NotTheHolder(f"attempt {attempt} {state}: the message is at attempt {current}")


def check_holder(message: Message, worker_id: str | None, now: int) -> None:
    """Raise ``WrongState`` or ``NotTheHolder`` unless the message is processing and this worker holds a running lease on it."""
    params = message.bot_params
    if params.status != "processing" or params.lease_expires_at is None:
        raise WrongState(f"the message is {params.status}, not processing")
    if params.lease_expires_at <= now:
        raise NotTheHolder(f"the lease ran out at {params.lease_expires_at}")
    if worker_id not in {None, params.claimed_by}:
        raise NotTheHolder(f"the message is held by {params.claimed_by!r}, not by {worker_id!r}")


def has_completed(message: Message, worker_id: str | None, attempt: int | None) -> bool:
    """Whether this attempt has already completed the message."""
    params = message.bot_params
    return params.status == "complete" and attempt == params.attempt and worker_id in {None, params.claimed_by}


def has_given_back(message: Message, worker_id: str, attempt: int) -> bool:
    """Whether this attempt, the current one, has already given the message back or completed it."""
    return message.bot_params.status == "pending" or has_completed(message, worker_id, attempt)


def has_failed(message: Message, worker_id: str, reason: str) -> bool:
    """Whether this worker's last attempt has already failed with this reason."""
    params = message.bot_params
    is_over = params.status in {"pending", "failed"} and params.error == reason
    return is_over and params.claimed_by in {None, worker_id}


# -- Transitions


def hold(
    message: Message,
    worker_id: str,
    now: int,
    config: QueueConfig,
    *,
    unfenced: bool = False,
    socket: str | None = None,
    skipped: int = 0,
) -> Message:
    """A worker claims the message: a new attempt begins. If ``unfenced``, its calls need not name the attempt.

    With ``socket``, the message is handed to it there. ``skipped`` numbers of attempts are left out.
    """
    params = message.bot_params
    lease_ms = config.lease_ms if socket is None else config.socket_lease_ms
    return _changed(
        message,
        status="processing",
        claimed_by=worker_id,
        claimed_at=now,
        attempt=params.attempt + 1 + skipped,
        tries=params.tries + 1,
        lease_expires_at=_lease_end(now, now, lease_ms, config),
        retry_at=None,
        unfenced=True if unfenced else UNSET,
        socket=UNSET if socket is None else socket,
    )


def extend(message: Message, now: int, config: QueueConfig, *, stands: bool = False) -> Message:
    """The holder's heartbeat: the lease restarts, up to the longest hold; ``stands`` if the holder does so at its socket."""
    lease_ms = config.socket_lease_ms if stands else config.lease_ms
    return _changed(message, lease_expires_at=_lease_end(message.bot_params.claimed_at or now, now, lease_ms, config))


def adopt(message: Message, socket: str, now: int, config: QueueConfig) -> Message:
    """The holder goes on at a socket, in the same attempt."""
    return extend(_changed(message, socket=socket), now, config, stands=True)


def detach(message: Message, now: int, config: QueueConfig) -> Message:
    """The holder's socket is gone, and the holder may be too: the lease ends as that of a claim made now, at the latest.

    The socket's name stays, so that a bot that goes on at another one can give back what it has not got.
    """
    params = message.bot_params
    end = _lease_end(params.claimed_at or now, now, config.lease_ms, config)
    return _changed(message, lease_expires_at=min(params.lease_expires_at or end, end))


def complete(message: Message, now: int) -> Message:
    """The message is finished, with or without an answer."""
    return _changed(
        message, status="complete", completed_at=now, lease_expires_at=None, expires_at=None, error=None, socket=UNSET
    )


def assign(message: Message, entity: str, conversation: str) -> Message:
    """An entity takes a message that names none, which joins the talk with that entity."""
    return replace(_changed(message, assigned_entity=entity), conversation=conversation)


def answer(message: Message, answer_id: str, answered_at: int) -> Message:
    """The message has its one answer."""
    return _changed(message, answered_by=answer_id, answered_at=answered_at)


def fail(
    message: Message, reason: str, now: int, config: QueueConfig, *, retry: bool = True, retry_at: int | None = None
) -> Message:
    """An attempt ended without completion: complete if answered, failed if it was the last one, else pending again (P4)."""
    params = message.bot_params
    if params.answered_by is not None:
        return complete(message, now)
    if not retry or params.tries >= config.max_attempts:
        return _changed(
            message,
            status="failed",
            completed_at=now,
            lease_expires_at=None,
            expires_at=None,
            retry_at=None,
            error=reason,
            socket=UNSET,
        )
    return _changed(
        message,
        status="pending",
        claimed_by=None,
        claimed_at=None,
        lease_expires_at=None,
        retry_at=retry_at,
        expires_at=(retry_at or now) + config.max_wait_ms,
        error=reason,
        unfenced=UNSET,
        socket=UNSET,
    )


def release(message: Message, now: int, config: QueueConfig) -> Message:
    """The holder gives the message back unanswered: pending at once, and the attempt does not count. Complete if answered.

    Its wait does not start again, so a message whose bots are stopped again and again fails in the end.
    """
    params = message.bot_params
    if params.answered_by is not None:
        return complete(message, now)
    latest = now + config.max_wait_ms
    return _changed(
        message,
        status="pending",
        claimed_by=None,
        claimed_at=None,
        tries=params.tries - 1,
        lease_expires_at=None,
        expires_at=min(params.expires_at or latest, latest),
        unfenced=UNSET,
        socket=UNSET,
    )


def expire(message: Message, now: int, config: QueueConfig) -> Message:
    """The deadline of a lease, a backoff or a wait has passed."""
    params = message.bot_params
    if params.status == "processing":
        return fail(message, f"the lease of {params.claimed_by!r} ran out", now, config)
    if params.retry_at is not None:
        return _changed(message, retry_at=None)
    if params.expires_at is not None and now - params.expires_at > LATE_MS:
        return _changed(message, expires_at=now + min(GRACE_MS, config.max_wait_ms))
    reason = f"nobody answered within {_in_words(config.max_wait_ms)}"
    if params.error is not None:
        reason = f"{reason}; before that: {params.error}"[:MAX_ERROR]
    return fail(message, reason, now, config, retry=False)


def retry(message: Message, now: int, config: QueueConfig) -> Message:
    """An operator gives a failed message all its attempts back."""
    return _changed(
        message,
        status="pending",
        tries=0,
        claimed_by=None,
        claimed_at=None,
        completed_at=None,
        expires_at=now + config.max_wait_ms,
        error=None,
        unfenced=UNSET,
    )


def clamped(message: Message, now: int, config: QueueConfig) -> Message:
    """The message with its deadline moved back to the maximum; the same object if nothing needs to change.

    A deadline may be too far ahead after the clock has stepped back or a setting was lowered. Messages stored by versions
    without waits have none, and get one.
    """
    params, latest = message.bot_params, now + TOLERATED_STEP_MS
    if params.status == "processing":
        lease_ms = _lease_ms(message, config)
        if (params.lease_expires_at or 0) > latest + lease_ms or (params.claimed_at or 0) > latest:
            claimed_at = min(params.claimed_at or now, now)
            return _changed(message, claimed_at=claimed_at, lease_expires_at=_lease_end(claimed_at, now, lease_ms, config))
    elif params.status == "pending":
        if params.retry_at is not None and params.retry_at > latest + config.max_backoff_ms:
            retry_at = now + config.max_backoff_ms
            return _changed(message, retry_at=retry_at, expires_at=retry_at + config.max_wait_ms)
        start = params.retry_at or now
        if params.expires_at is None or params.expires_at > max(start, latest) + config.max_wait_ms:
            return _changed(message, expires_at=start + config.max_wait_ms)
    return message


def backoff_ms(tries: int, config: QueueConfig, random: Random) -> int:
    """A pause that doubles, with jitter (half to all of it), so that messages that failed together are not retried together."""
    pause = min(config.backoff_ms << min(tries - 1, 30), config.max_backoff_ms)
    return pause // 2 + random.randint(0, pause // 2)


def _lease_ms(message: Message, config: QueueConfig) -> int:
    return config.lease_ms if message.bot_params.socket is UNSET else config.socket_lease_ms


def _lease_end(claimed_at: int, now: int, lease_ms: int, config: QueueConfig) -> int:
    return min(now + lease_ms, claimed_at + config.max_hold_ms)


def _changed(message: Message, **changes: object) -> Message:
    return replace(message, bot_params=replace(message.bot_params, **changes))


def _in_words(milliseconds: int) -> str:
    for size, unit in _UNITS:
        count, rest = divmod(milliseconds, size)
        if count and not rest:
            return f"{count} {unit}s" if count > 1 else f"1 {unit}"
    return f"{milliseconds / 1_000:g} seconds"
