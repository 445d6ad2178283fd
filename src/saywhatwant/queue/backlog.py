"""Shares of the backlog: no group of messages can use up all of it (P6).

Uses the dynamic thresholds of switches with a shared buffer (Choudhury and Hahne, IEEE/ACM Transactions on Networking, 1998).
"""

from saywhatwant.errors import BacklogFull
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.index import Index


def check_room(index: Index, config: QueueConfig, entity: str | None) -> None:
    """Raise ``BacklogFull`` when a group has as much unfinished work as there is room left.

    Each entity that answers here is a group, so are messages that name no entity, and so are all other names together. One
    group alone can take half of the limit, and a group with nothing waiting gets in while there is any room.
    """
    backlog = index.backlog
    room = config.backlog_limit - backlog
    if backlog < room:
        return
    if room <= 0:
        raise BacklogFull(f"{backlog} messages wait for an answer; no more are accepted at the moment")
    if entity is None or entity in config.entities:
        waiting = index.backlog_of(entity)
        group = "no entity" if entity is None else repr(entity)
    else:
        waiting = backlog - sum(map(index.backlog_of, (None, *config.entities)))
        group = "unknown entities"
    if waiting >= room:
        raise BacklogFull(f"too many messages to {group} wait for an answer: {waiting}; the remaining room is for others")
