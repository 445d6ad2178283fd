"""The tokens of readers, as a reader compares them: one commit of each object, in a number or a text."""

from collections.abc import Mapping

from servers import Server


class Token:
    """An ETag without its quotes, or the ``seq`` of a frame. One is at least another if it has all commits of that one."""

    def __init__(self, wire: int | str) -> None:
        self.wire = wire
        pairs = [part.rpartition("_") for part in str(wire).split("-")]
        self.commits: Mapping[str, int] = {source: int(seq) for source, _, seq in pairs}

    def __ge__(self, other: "Token") -> bool:
        return all(self.commits.get(source, 0) >= seq for source, seq in other.commits.items())

    def adds(self, seq: int, before: "Token") -> bool:
        """Whether a commit with this number may be among those that it has and ``before`` does not."""
        return any(before.commits.get(source, 0) < seq <= last for source, last in self.commits.items())

    def __lt__(self, other: "Token") -> bool:
        return other >= self and self != other

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return str(self.wire)

    def __int__(self) -> int:
        return int(self.wire)


def token_of(server: Server) -> Token:
    """All that is committed."""
    return Token(server.http.get("/api/comments", params={"limit": 1}).headers["etag"].strip('"'))
