"""The loads that contenders are measured under."""

from typing import NamedTuple

RETENTION = 200
"""Messages that a contender keeps for readers."""
POST = "/api/comments"


class Load(NamedTuple):
    """What wrk asks for, with how many connections."""

    name: str
    path: str
    connections: int
    script: str | None = None
    arguments: tuple[str, ...] = ()
    """Of the script."""
    reads: bool = False
    """Whether ``RETENTION`` messages have to be there before."""
    counts: str | None = None
    """What the script prints the number of, where that is not every request."""

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
"""By short name. A post with key carries an ``Idempotency-Key`` of its own, as the page's posts do."""

WORK = Load("claim and complete, of a backlog", "/", 32, "round_trip.lua", ("work",), counts="round trips")
POSTS_AT_32 = LOADS["post-32"]
ROUND_TRIP = LOADS["round-trip"]
KEYED = frozenset({"keyed-1", "keyed-32", "keyed-128"})
COMMON = frozenset(LOADS) - KEYED
"""What every contender's interface can do."""
