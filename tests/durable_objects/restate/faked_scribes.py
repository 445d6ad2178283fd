"""Scribes and odd objects in a cluster that is faked, and calls of them."""

from typing import Any

import msgspec
from fake_restate import FakeRestate, Invocation
from msgspec import Raw
from scribe import Scribe

from durable_objects import Context, DurableObject, ObjectId, read
from durable_objects.limits import MAX_SENDS
from durable_objects.restate.encoding import (
    ANSWERS,
    BATCH,
    HEAD,
    HEAD_KEY,
    Answer,
    Answers,
    Batch,
    Call,
    StoredHead,
)
from durable_objects.restate.object_host import ObjectHost


class Odd(DurableObject):
    """It does what objects should not."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.seen: list[str] = []
        if ctx.storage.get("broken"):
            raise ZeroDivisionError("broken")

    def see(self, what: str) -> list[str]:
        """Return a part of itself, which later calls change."""
        self.seen.append(what)
        return self.seen

    def exit(self) -> None:
        raise SystemExit(1)

    def wrong(self) -> int:
        """Return what is no JSON."""
        self.ctx.storage.put("wrong", b"")
        return object()  # type: ignore[return-value]

    def break_for_good(self) -> None:
        self.ctx.storage.put("broken", b"yes")

    def fill(self, number: int) -> None:
        """Write as many bytes, in rows of 1,000."""
        for row in range(number // 1_000):
            self.ctx.storage.put(f"row {row:03}", b"x" * 993)

    def fill_and_return(self, number: int) -> str:
        """Write about as many bytes and return them."""
        self.fill(number)
        return "x" * number

    def large(self) -> str:
        return "x" * 1_000

    def send_many(self) -> None:
        for _ in range(MAX_SENDS + 1):
            self.ctx.send(ObjectId("Scribe", "b"), Scribe.note, "text")

    def send_much(self) -> None:
        for _ in range(3):
            self.ctx.send(ObjectId("Scribe", "b"), Scribe.note, "x" * 1_000)

    def send_exit(self, name: str) -> None:
        self.ctx.send(ObjectId("Odd", name), Odd.exit)

    def wake_at(self, at: int) -> None:
        self.ctx.set_alarm(at)

    def alarm(self) -> None:
        self.exit()

    @read
    def keys(self) -> list[str]:
        return [key for key, _ in self.ctx.storage.list()]

    @read
    def show(self) -> str:
        return "x" * 1_000

    @read
    def fail(self) -> None:
        raise ZeroDivisionError

    @read
    def quit(self) -> None:
        raise SystemExit(1)


def new_cluster() -> FakeRestate:
    """A cluster, and two processes that serve scribes and odd objects; all are willing."""
    Scribe.unwilling = 0

    def new_host() -> ObjectHost:
        host = ObjectHost(clock=lambda: made.now_ms, new_seed=lambda: 7)
        host.declare("Scribe", Scribe, None)
        host.declare("Odd", Odd, None)
        return host

    made = FakeRestate(new_host)
    return made


def call(method: str, /, key: str | None = None, **arguments: Any) -> Call:
    return Call(method, Raw(msgspec.json.encode(arguments)), key)


def batch(cluster: FakeRestate, *calls: Call, of: str = "Scribe", name: str = "a", process: int = 0) -> list[Any]:
    """The result or the error's code of each call."""
    invocation = cluster.invoke(of, name, "batch", BATCH.encode(Batch([*calls])))
    cluster.finish(process)
    return [said(answer) for answer in answers_of(invocation).answers]


def answers_of(invocation: Invocation) -> Answers:
    assert invocation.error is None
    answers: Answers = ANSWERS.decode(invocation.answer or b"")
    return answers


def said(answer: Answer) -> Any:
    return msgspec.json.decode(answer.result) if answer.error is None else answer.error.code


def read_at(cluster: FakeRestate, *calls: Call, of: str = "Scribe", name: str = "a", process: int = 0) -> Answers:
    answers: Answers = ANSWERS.decode(cluster.shared(of, name, "read", BATCH.encode(Batch([*calls])), process))
    return answers


def head_of(cluster: FakeRestate, name: str = "a") -> StoredHead:
    head: StoredHead = HEAD.decode(cluster.state["objects.Scribe", name][HEAD_KEY])
    return head
