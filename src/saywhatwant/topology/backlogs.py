"""The backlogs of several objects as one: the limit is for all of them together (P6)."""

from saywhatwant.queue.shard import QueueShard
from saywhatwant.topology.shards import Shard, Shards
from saywhatwant.topology.together import together

_SHARE_UNSEEN = 8


class Backlogs:
    """What this gateway knows of the objects' unfinished work.

    It asks again after as many posts as an eighth of the room that was left. So the limit is exceeded by an eighth of the last
    room at most, by each gateway; and it is exact where there is little room.
    """

    def __init__(self, shards: Shards, limit: int) -> None:
        self._shards = shards
        self._limit = limit
        self._backlogs: dict[int, int] = {}
        self._posts_left = 0

    @property
    def is_old(self) -> bool:
        """Whether the next post needs other figures."""
        return self._posts_left <= 0

    def elsewhere(self, shard: Shard) -> int:
        """The unfinished work of all other objects than this one, for one post."""
        self._posts_left -= 1
        return sum(backlog for source, backlog in self._backlogs.items() if source != shard.source)

    async def ask(self) -> None:
        """Ask every object."""
        shards = self._shards.all
        heads = await together([shard.stub.call(QueueShard.head) for shard in shards])
        self._backlogs = {shard.source: head.backlog for shard, head in zip(shards, heads, strict=True)}
        self._posts_left = max(1, (self._limit - sum(self._backlogs.values())) // _SHARE_UNSEEN)
