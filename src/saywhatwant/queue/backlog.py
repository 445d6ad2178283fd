"""Shares of the backlog, and of the room for contexts: no group of messages can use up all of it (P6).

Uses the dynamic thresholds of switches with a shared buffer (Choudhury and Hahne, IEEE/ACM Transactions on Networking, 1998).
"""

from collections.abc import Callable

from saywhatwant.errors import BacklogFull
from saywhatwant.limits import MAX_CONTEXTS_BYTES
from saywhatwant.message import NewMessage
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.index import Index


def check_room(index: Index, config: QueueConfig, new: NewMessage, elsewhere: int = 0) -> None:
    """Raise ``BacklogFull`` when a group has as much unfinished work, or as many contexts, as there is room left.

    Each entity that answers here is a group, so are messages that name no entity, and so are all other names together. One
    group alone can take half of the limit, and a group with nothing waiting gets in while there is any room. A context counts
    as the longest one that the setting allows. ``elsewhere`` is the unfinished work of other objects of the same wall.
    """
    backlog = index.backlog + elsewhere
    if backlog >= config.backlog_limit - backlog:
        _check_share("messages", backlog, config.backlog_limit, index.counts.unfinished, new.entity, config, elsewhere)
    if new.context is not None:
        limit = MAX_CONTEXTS_BYTES // max(config.max_context_bytes, 1)
        contexts = index.counts.contexts
        if contexts >= limit - contexts:
            _check_share("messages with a context", contexts, limit, index.counts.contexts_of, new.entity, config)


def _check_share(
    what: str,
    used: int,
    limit: int,
    used_by: Callable[[str | None], int],
    entity: str | None,
    config: QueueConfig,
    elsewhere: int = 0,
) -> None:
    room = limit - used
    if room <= 0:
        raise BacklogFull(f"{used} {what} wait for an answer; no more are accepted at the moment")
    if entity is None or entity in config.entities:
        waiting = used_by(entity)
        group = "no entity" if entity is None else repr(entity)
    else:
        waiting = used - elsewhere - sum(map(used_by, (None, *config.entities)))
        group = "unknown entities"
    if waiting >= room:
        raise BacklogFull(f"too many {what} to {group} wait for an answer: {waiting}; the remaining room is for others")
