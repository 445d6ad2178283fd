"""The verdict on a siege, on hand-made observations: it must find every fault, and how long people waited."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

from saywhatwant.message import BotParams, Message
from saywhatwant.stress.cluster.reader import PollReader, Reader, SocketReader, Wait
from saywhatwant.stress.cluster.target import Kill
from saywhatwant.stress.cluster.verdict import Verdict, judge
from saywhatwant.stress.cluster.visitor import Post

URLS = ("http://127.0.0.1:1", "http://127.0.0.1:2")
MESSAGES = 3


def question(number: int) -> Message:
    return Message(
        id=f"question{number}",
        timestamp=1 + number,
        text=f"message {number}",
        username="Visitor",
        color="169080199",
        message_type="human",
        reply_to=None,
        bot_params=BotParams(status="complete"),
        seq=100 + number,
    )


def answer(number: int, to: int) -> Message:
    return Message(
        id=f"answer{number}",
        timestamp=100 + number,
        text=f"message {to}",  # an entity may repeat the message
        username="Eliza",
        color="169080199",
        message_type="AI",
        reply_to=f"question{to}",
        bot_params=BotParams(status="complete"),
        seq=100 + number,
    )


class Scene(NamedTuple):
    """All that a verdict is made of."""

    posted: list[Post]
    walls: list[list[Message]]
    polls: list[PollReader]
    sockets: list[SocketReader]

    @classmethod
    def of(cls, messages: list[Message]) -> "Scene":
        """Everybody has read these, and both gateways show them."""
        posted = [
            Post(
                text=f"message {number}",
                begun=10.0 + number,
                accepted=10.5 + number,
                id=f"question{number}",
                timestamp=1 + number,
                attempts=1,
            )
            for number in range(MESSAGES)
        ]
        polls, sockets = [PollReader("poll", URLS, 0)], [SocketReader("socket", URLS, 0)]
        readers: list[Reader] = [*polls, *sockets]
        for reader in readers:
            reader.last_seen.update((message.id, message) for message in messages)
            reader.first_seen.update((message.id, 11.0 + message.timestamp) for message in messages)
        return cls(posted, [list(messages), list(messages)], polls, sockets)

    def verdict(self, *kills: Kill) -> Verdict:
        return judge(self, kills, self.walls, in_time=True)


def whole() -> list[Message]:
    return [question(number) for number in range(MESSAGES)] + [answer(number, number) for number in range(MESSAGES)]


def kill(at: float) -> Kill:
    return Kill(name="node 1", at=at, ready_at=at + 1, posts=1, unanswered=1)


def test_nothing_is_wrong_when_all_was_answered_once_and_read_once() -> None:
    verdict = Scene.of(whole()).verdict()
    assert (verdict.accepted, verdict.answered_once) == (MESSAGES, MESSAGES)
    assert (verdict.lost, verdict.doubled, verdict.stuck, verdict.faults) == (0, 0, 0, ())


def without(*ids: str) -> Callable[[], Scene]:
    return lambda: Scene.of([message for message in whole() if message.id not in ids])


def with_one_more(message: Message) -> Callable[[], Scene]:
    return lambda: Scene.of([*whole(), message])


@pytest.mark.parametrize(
    ("scene", "lost", "doubled", "stuck"),
    [
        (without("question1", "answer1"), 1, 0, 1),
        (without("answer2"), 0, 0, 1),
        (with_one_more(answer(7, 1)), 0, 1, 0),
        (with_one_more(replace(question(1), id="question7", timestamp=50)), 0, 1, 0),
    ],
    ids=["lost", "unanswered", "answered twice", "there twice"],
)
def test_what_is_lost_doubled_or_stuck_is_counted(scene: Callable[[], Scene], lost: int, doubled: int, stuck: int) -> None:
    verdict = scene().verdict()
    assert (verdict.lost, verdict.doubled, verdict.stuck) == (lost, doubled, stuck)
    assert verdict.faults


def not_accepted(scene: Scene) -> None:
    scene.posted.append(Post(text="message 9", begun=20.0, error="the server is away"))


def other_timestamp(scene: Scene) -> None:
    scene.posted[0].timestamp = 9


def other_wall(scene: Scene) -> None:
    del scene.walls[1][-1]


def held(scene: Scene) -> None:
    for wall in scene.walls:
        wall[0] = replace(wall[0], bot_params=BotParams(status="processing"))
    scene.sockets[0].last_seen[scene.walls[0][0].id] = scene.walls[0][0]


def never_polled(scene: Scene) -> None:
    del scene.polls[0].last_seen["answer1"]


def old_state(scene: Scene) -> None:
    scene.sockets[0].last_seen["question1"] = replace(question(1), seq=1)


def nobodys(scene: Scene) -> None:
    scene.posted.pop(0)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (not_accepted, "was not accepted: the server is away"),
        (other_timestamp, "question0 is not as it was acknowledged"),
        (other_wall, "gateway 2 shows another wall"),
        (held, "question0 is processing"),
        (never_polled, "poll lacks 1 messages: answer1"),
        (old_state, "socket lacks 1 messages: question1"),
        (nobodys, "question0 is there, though it was not acknowledged"),
    ],
)
def test_every_other_fault_is_named(spoil: Callable[[Scene], None], fault: str) -> None:
    scene = Scene.of(whole())
    spoil(scene)
    faults = scene.verdict().faults
    assert any(fault in found for found in faults), faults


def test_an_outage_is_the_longest_that_anybody_waited_between_two_kills() -> None:
    scene = Scene.of(whole())
    scene.polls[0].waits.append(Wait(10.0, 14.0))
    first, second = scene.verdict(kill(10.2), kill(12.25)).outages
    assert first.posts == pytest.approx(0.5)  # the second message; 0.3 of the first one's half second were after the kill
    assert first.reads == pytest.approx(2.05)  # until the second kill
    assert second.reads == pytest.approx(1.75)
    assert second.posts == pytest.approx(0.25)
    assert second.stall == second.reads
    assert first.pushes == pytest.approx(1.5)  # the first message was accepted at 10.5 and seen at 12
    assert second.pushes == pytest.approx(1.5)  # the last one, accepted at 12.5 and seen at 14


def event(message: Message) -> dict[str, object]:
    return {"type": "message", "message": msgspec.to_builtins(message)}


def frame(seq: int, *messages: Message) -> str:
    return msgspec.json.encode({"seq": seq, "events": [event(message) for message in messages]}).decode()


def test_p5_a_socket_that_gets_a_commit_again_or_goes_back_notes_it() -> None:
    def faults(*frames: str) -> list[str]:
        reader = SocketReader("socket", URLS, 0)
        for text in frames:
            reader.take(text)
        return reader.faults

    first, changed = replace(question(0), seq=1), replace(question(0), seq=2)
    assert faults(frame(1, first), frame(2, changed)) == []
    assert faults(frame(2, replace(first, seq=2, text="older"), changed)) == [], "one commit may change a message twice"
    assert len(faults(frame(1, first), frame(1, first))) == 1
    assert len(faults(frame(2, changed), frame(3, first))) == 1
    assert len(faults(frame(2, changed), frame(1))) == 1


def test_p5_a_poll_that_gets_a_message_again_or_an_older_one_notes_it() -> None:
    def faults(*pages: list[Message]) -> list[str]:
        reader = PollReader("poll", URLS, 0)
        for page in pages:
            reader.take(page)
        return reader.faults

    twin = replace(question(0), id="twin")
    assert faults([question(0), twin], [question(1)]) == [], "two objects may give one timestamp"
    assert len(faults([question(0)], [twin])) == 1
    assert len(faults([question(1), question(0)])) == 1
    assert "came again" in faults([question(0)], [question(1), question(0)])[0]
