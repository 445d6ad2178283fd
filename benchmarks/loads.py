"""The loads under which contenders are measured."""

from typing import NamedTuple

RETENTION = 200
"""Messages that a contender keeps for readers."""
POST = "/api/comments"


class Load(NamedTuple):
    """The requests of wrk, and its number of connections."""

    name: str
    path: str
    connections: int
    script: str | None = None
    arguments: tuple[str, ...] = ()
    """Arguments of the script."""
    reads: bool = False
    """Whether the load needs ``RETENTION`` stored messages."""
    counts: str | None = None
    """The unit that the script counts and prints, if it is not requests."""

    @property
    def stores(self) -> bool:
        """Whether each answer acknowledges one write."""
        return self.path == POST and not self.reads


def _post(connections: int) -> Load:
    unit = "connection" if connections == 1 else "connections"
    return Load(f"post, {connections} {unit}", POST, connections, "post.lua")


def _keyed(load: Load) -> Load:
    return load._replace(name=load.name.replace("post", "post with key"), arguments=("keyed",))


LOADS = {
    "post-1": _post(1),
    "post-32": _post(32),
    "post-128": _post(128),
    "keyed-1": _keyed(_post(1)),
    "keyed-32": _keyed(_post(32)),
    "keyed-128": _keyed(_post(128)),
    "read-200": Load(f"read {RETENTION} messages", f"{POST}?limit={RETENTION}", 32, reads=True),
    "read-none": Load("read nothing new", f"{POST}?since=9000000000000", 32, reads=True),
    "round-trip": Load("round trip: post, claim, complete", "/", 32, "round_trip.lua", counts="round trips"),
}
"""By short name. Each post with key has a new ``Idempotency-Key``, like the page's posts."""

WORK = Load("claim and complete, of a backlog", "/", 32, "round_trip.lua", ("work",), counts="round trips")
POSTS_AT_32 = LOADS["post-32"]
ROUND_TRIP = LOADS["round-trip"]
KEYED = frozenset({"keyed-1", "keyed-32", "keyed-128"})
COMMON = frozenset(LOADS) - KEYED
"""Loads that every contender's interface supports."""
