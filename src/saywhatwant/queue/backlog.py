"""Who may add to the backlog: nobody can use up what the others need (P6).

After the dynamic thresholds of switches that share one buffer (Choudhury and Hahne, IEEE/ACM Transactions on Networking, 1998).
"""

from saywhatwant.errors import BacklogFull
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.index import Index


def check_room(index: Index, config: QueueConfig, entity: str | None) -> None:
    """Raise ``BacklogFull`` when a group has as much unfinished work as there is room left.

    The groups are each entity that answers here, nobody in particular, and all other names together. So one group alone can
    take half of the limit, and one with nothing waiting gets in while there is room at all.
    """
    backlog = index.backlog
    room = config.backlog_limit - backlog
    if backlog < room:
        return
    if room <= 0:
        raise BacklogFull(f"{backlog} messages wait for an answer; no more are taken at the moment")
    if entity is None or entity in config.entities:
        waiting = index.backlog_of(entity)
        group = "nobody in particular" if entity is None else repr(entity)
    else:
        waiting = backlog - sum(map(index.backlog_of, (None, *config.entities)))
        group = "unknown entities"
    if waiting >= room:
        raise BacklogFull(f"too many messages to {group} wait for an answer: {waiting}; the room that is left is for others")
