"""The verdict on a siege: what was lost, doubled, stuck or read wrongly, and how long each kill made people wait.

It is computed only from what visitors posted, what readers read, and what the gateways show at the end.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Protocol

from msgspec import Struct

from saywhatwant.message import Message
from saywhatwant.stress.cluster.reader import PollReader, Reader, SocketReader, Wait
from saywhatwant.stress.cluster.target import Kill
from saywhatwant.stress.cluster.visitor import Post


class Witnesses(Protocol):
    """What was posted, and who has read."""

    @property
    def posted(self) -> Sequence[Post]: ...

    @property
    def polls(self) -> Sequence[PollReader]: ...

    @property
    def sockets(self) -> Sequence[SocketReader]: ...


class Outage(Struct, frozen=True, kw_only=True):
    """What one kill did until the next one. Times are in seconds."""

    kill: Kill
    posts: float
    """The longest that a post waited from the kill, or from its begin if that was later, until it was accepted."""
    reads: float
    """The same of a poll."""
    pushes: float
    """The longest from there until a message that had been accepted reached a socket."""

    @property
    def stall(self) -> float:
        """How long the service did not answer somebody."""
        return max(self.posts, self.reads)


class Verdict(Struct, frozen=True, kw_only=True):
    """``faults`` is empty only if nothing was lost, doubled, stuck or read wrongly."""

    accepted: int
    answered_once: int
    lost: int
    """Accepted messages that some gateway does not show at the end."""
    doubled: int
    """Messages that are there twice, or have two answers."""
    stuck: int
    """Accepted messages without an answer."""
    repeated: int
    """Posts that were sent more than once."""
    faults: tuple[str, ...]
    outages: tuple[Outage, ...]
    post_seconds: tuple[float, ...]
    """From the begin of each post until it was accepted, shortest first."""
    answer_seconds: tuple[float, ...]
    """From the same moment until a socket had the answer, shortest first."""


def judge(crowd: Witnesses, kills: Sequence[Kill], walls: Sequence[Sequence[Message]], *, in_time: bool) -> Verdict:
    """The verdict; ``walls`` is what each gateway shows at the end."""
    posted = crowd.posted
    readers: list[Reader] = [*crowd.polls, *crowd.sockets]
    accepted = [post for post in posted if post.id is not None]
    copies, answers = _copies(walls[0]), _answers(walls[0])
    shown = [{message.id: message for message in wall} for wall in walls]
    lost = [post for post in accepted if any(post.id not in wall for wall in shown)]
    doubled = [post for post in posted if len(copies[post.text]) > 1 or len(answers[post.id or ""]) > 1]
    stuck = [post for post in accepted if not answers[post.id or ""]]
    once = [post for post in accepted if len(answers[post.id or ""]) == 1]
    return Verdict(
        accepted=len(accepted),
        answered_once=len(once),
        lost=len(lost),
        doubled=len(doubled),
        stuck=len(stuck),
        repeated=sum(post.attempts > 1 for post in posted),
        faults=tuple(
            chain(
                () if in_time else ("not all was answered and read in time",),
                (f"{post.text!r} was not accepted: {post.error}" for post in posted if post.id is None),
                (f"{post.id} is lost" for post in lost),
                (f"{post.id} is there {len(copies[post.text])} times, answers {answers[post.id or '']}" for post in doubled),
                (f"{post.id} has no answer" for post in stuck),
                _differences(accepted, shown),
                *(_misread(reader.name, reader.faults, reader.lacks(walls[0])) for reader in readers),
            )
        ),
        outages=tuple(_outages(crowd, kills)),
        post_seconds=tuple(sorted(post.accepted - post.begun for post in accepted if post.accepted is not None)),
        answer_seconds=tuple(sorted(_answer_times(crowd, accepted, answers))),
    )


def _copies(wall: Sequence[Message]) -> dict[str, list[str]]:
    """The ids of people's messages, by their text."""
    found: dict[str, list[str]] = defaultdict(list)
    for message in wall:
        if message.message_type == "human":
            found[message.text].append(message.id)
    return found


def _answers(wall: Sequence[Message]) -> dict[str, list[str]]:
    """The ids of answers, by the id of the question."""
    found: dict[str, list[str]] = defaultdict(list)
    for message in wall:
        if message.message_type == "AI":
            found[message.reply_to or ""].append(message.id)
    return found


def _differences(accepted: Sequence[Post], shown: Sequence[dict[str, Message]]) -> Iterator[str]:
    """Where a gateway shows something else than another one, or than it has acknowledged."""
    for number, wall in enumerate(shown[1:], 2):
        if wall != shown[0]:
            yield f"gateway {number} shows another wall than gateway 1"
    for post in accepted:
        message = shown[0].get(post.id or "")
        if message is None:
            continue
        if (message.text, message.timestamp) != (post.text, post.timestamp):
            yield f"{post.id} is not as it was acknowledged"
        if message.bot_params.status != "complete":
            yield f"{post.id} is {message.bot_params.status}"
    texts = {post.text for post in accepted}
    for message in shown[0].values():
        if message.message_type == "human" and message.text not in texts:
            yield f"{message.id} is there, though it was not acknowledged"


def _misread(name: str, faults: Sequence[str], lacks: Sequence[str]) -> Iterator[str]:
    for fault in faults:
        yield f"{name}: {fault}"
    if lacks:
        yield f"{name} lacks {len(lacks)} messages: {', '.join(lacks[:5])}"


def _outages(crowd: Witnesses, kills: Sequence[Kill]) -> Iterator[Outage]:
    posts = [Wait(post.begun, post.accepted) for post in crowd.posted if post.accepted is not None]
    reads = [wait for poll in crowd.polls for wait in poll.waits]
    pushes = [
        Wait(post.accepted, seen)
        for post in crowd.posted
        for socket in crowd.sockets
        if post.accepted is not None and (seen := socket.first_seen.get(post.id or "")) is not None
    ]
    times = [*(kill.at for kill in kills), float("inf")]
    for kill, (begin, end) in zip(kills, pairwise(times), strict=True):
        posted, read, pushed = (_longest(waits, begin, end) for waits in (posts, reads, pushes))
        yield Outage(kill=kill, posts=posted, reads=read, pushes=pushed)


def _longest(waits: Sequence[Wait], begin: float, end: float) -> float:
    """The longest that one of the waits took of the time between these."""
    return max((0.0, *(min(wait.ended, end) - max(wait.begun, begin) for wait in waits)))


def _answer_times(crowd: Witnesses, accepted: Sequence[Post], answers: dict[str, list[str]]) -> Iterator[float]:
    for post in accepted:
        for answer in answers[post.id or ""][:1]:
            seen = [at for socket in crowd.sockets if (at := socket.first_seen.get(answer)) is not None]
            if seen:
                yield min(seen) - post.begun
