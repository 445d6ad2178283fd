"""Calls that objects send to each other: part of the sender's commit, delivered later, refused in plain words."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import courier
import pytest
from courier import Letters

from durable_objects import Context, DurableObject, ObjectFailed, ObjectId, OutcomeUnknown, Overloaded, Runtime, Stub, read
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded.store import Store
from durable_objects.limits import ALARM_RETRY_MS, MAX_ALARM_RETRY_MS, MAX_SENDS, MAX_UNTAKEN_SENDS, MAX_VALUE_BYTES
from durable_objects.outbox import _PAGE, _REMOVE_AFTER_MS
from durable_objects.simulated import SimulatedRuntime


@pytest.fixture(autouse=True)
def nothing_is_broken() -> None:
    courier.broken.clear()


class Bell(DurableObject):
    """Rings other bells, in every way in which an object can send."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        if ctx.name == "first" and ctx.seq == 0:
            self.ring("second")

    def ring(self, name: str, *, times: int = 1, text: str = "") -> None:
        for _ in range(times):
            self.ctx.send(ObjectId("Bell", name), Bell.hear, self.ctx.name, text)

    def ring_later(self, name: str) -> None:
        self.ctx.storage.put("next", name.encode())
        self.ctx.set_alarm(self.ctx.now() + 1_000)

    def alarm(self) -> None:
        self.ring((self.ctx.storage.get("next") or b"").decode())

    def hear(self, name: str, text: str) -> None:
        self.ctx.storage.put(f"heard/{self.ctx.seq:06}", f"{name}{text}".encode())

    def heard(self) -> list[str]:
        return [value.decode() for _, value in self.ctx.storage.list("heard/")]

    def ring_and_break(self, name: str, times: int) -> None:
        self.ring(name, times=times)
        raise ZeroDivisionError

    def echo(self, left: int) -> None:
        """Send to itself until nothing is left."""
        self.hear("self ", str(left))
        if left:
            self.ctx.send(ObjectId("Bell", self.ctx.name), Bell.echo, left - 1)

    def ring_nobody(self) -> None:
        self.ctx.send(ObjectId("Nobody", "a"), Bell.hear, "a", "")

    def ring_wrongly(self) -> None:
        self.ctx.send(ObjectId("Bell", "a"), Letters.read)

    def ring_with_too_little(self) -> None:
        send: Any = self.ctx.send
        send(ObjectId("Bell", "a"), Bell.hear, "a")

    @read
    def peek(self) -> None:
        self.ring("second")


def bells(runtime: Runtime) -> Callable[[str], Stub[Bell]]:
    return runtime.namespace("Bell", Bell).get


def test_constructors_and_alarms_send_and_an_object_may_send_to_itself() -> None:
    runtime = SimulatedRuntime()
    bell = bells(runtime)
    runtime.run(bell("first").call(Bell.ring_later, "third"))
    assert runtime.run(bell("second").call(Bell.heard)) == ["first"]
    runtime.advance(1)
    assert runtime.run(bell("third").call(Bell.heard)) == ["first"]
    runtime.run(bell("loop").call(Bell.echo, 300))
    assert runtime.run(bell("loop").call(Bell.heard))[-1] == "self 0"


def test_p2_nothing_is_delivered_before_the_senders_commit_and_settle_waits_for_the_receivers() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    bell = bells(runtime)
    ringing = runtime.start(bell("a").call(Bell.ring, "b"))
    settling = runtime.start(bell("a").settle())
    assert runtime.meter.sends == 0
    runtime.commit()
    assert (ringing.done, runtime.meter.sends, settling.done) == (True, 1, False)
    runtime.commit()
    assert settling.done
    assert runtime.run(bell("a").settle()) is None


def test_rows_are_removed_with_the_next_commit_of_the_sender_or_a_moment_later() -> None:
    runtime = SimulatedRuntime()
    bell = bells(runtime)

    def rows() -> list[tuple[str, int]]:
        return list(runtime.disk.senders())

    runtime.run(bell("a").call(Bell.ring, "b", times=3))
    assert rows() == [("Bell/a", 3)]
    runtime.run(bell("a").call(Bell.hear, "c", ""))
    assert rows() == []
    runtime.run(bell("a").call(Bell.ring, "b"))
    runtime.evict_idle(), runtime.evict_idle()
    assert runtime.live_objects == 0
    seq = runtime.disk.head("Bell/a").seq
    runtime.advance(_REMOVE_AFTER_MS / 1_000)
    assert (rows(), runtime.disk.head("Bell/a").seq) == ([], seq)


def test_rows_of_a_sender_whose_class_is_not_declared_any_more_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = SimulatedRuntime()
    runtime.namespace("Letters", Letters)
    sender = runtime.namespace("Former", Letters).get("a")
    runtime.run(sender.call(Letters.write, to=["b"]))
    monkeypatch.delitem(runtime._namespaces, "Former")
    runtime.crash()
    runtime.advance(2 * _REMOVE_AFTER_MS / 1_000)
    assert list(runtime.disk.senders()) == []


def test_a_sent_call_costs_a_row_at_each_side_and_its_removal() -> None:
    runtime = SimulatedRuntime()
    bell = bells(runtime)
    runtime.run(bell("a").call(Bell.ring, "b"))
    runtime.run(bell("a").call(Bell.ring, "b"))
    runtime.advance(_REMOVE_AFTER_MS / 1_000)
    meter = runtime.meter
    assert (meter.writes, meter.deletes) == (2 * (1 + 2), 2), "what was sent; what was heard, and its number"
    assert meter.reads == 2 * (1 + 1), "what was sent, and the number of the last one"


def test_what_fails_is_tried_again_less_often_and_holds_up_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    runtime = SimulatedRuntime()
    letters = runtime.namespace("Letters", Letters)
    courier.broken.add("b")
    runtime.run(letters.get("a").call(Letters.write, to=["b", "c", "b"]))
    assert runtime.run(letters.get("c").call(Letters.read)) == 1
    why = "Letters/b has not taken all calls of Letters/a yet: the last delivery failed; the log has the details"
    with pytest.raises(OutcomeUnknown, match=f"^{why}$"):
        runtime.run(letters.get("a").settle())
    assert "ZeroDivisionError" in caplog.text
    wakes = runtime.meter.wakes
    for tries in (1, 2, 3):
        runtime.advance(2 ** (tries - 1) * ALARM_RETRY_MS / 1_000)
        assert runtime.meter.wakes == wakes + tries
    runtime.advance(3_600)
    assert f"next attempt in {MAX_ALARM_RETRY_MS} ms" in caplog.messages[-1]
    courier.broken.clear()
    runtime.advance(MAX_ALARM_RETRY_MS / 1_000)
    assert runtime.run(letters.get("b").call(Letters.read)) == 2
    assert runtime.run(letters.get("a").settle()) is None


def test_refusals_and_calls_of_another_version_are_taken_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "durable_objects")
    runtime = SimulatedRuntime()
    letters = runtime.namespace("Letters", Letters)
    runtime.run(letters.get("a").call(Letters.write, to=["b"] * 6))
    assert runtime.run(letters.get("b").call(Letters.read)) == 5
    assert caplog.messages == ["Letters/b refused the call take of Letters/a: letter 5 of a"]
    caplog.clear()
    bell = bells(runtime)
    runtime.run(bell("a").call(Bell.ring, "b"))
    for row in (b'[%d,"gone",{}]', b'[%d,"hear",{"name":1,"text":""}]'):
        number = 9_000 + len(row)
        runtime.disk._entries["Bell/a"][f"\x01out/6/Bell/b/{number:019}"] = row % number
    runtime.crash()
    runtime.advance(0)
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "Bell/b cannot take the call gone of Bell/a, which is dropped",
        "Bell/b cannot take the call hear of Bell/a, which is dropped",
    ]
    assert runtime.run(bell("b").call(Bell.heard)) == ["a"]


@pytest.mark.parametrize(
    ("method", "args", "why"),
    [
        (Bell.ring, ("b", MAX_SENDS + 1), f"sends more than {MAX_SENDS} calls"),
        (Bell.ring, ("b", 1, "x" * MAX_VALUE_BYTES), f"at most {MAX_VALUE_BYTES} are allowed"),
        (Bell.ring_nobody, (), "no class is declared for the namespace 'Nobody'"),
        (Bell.ring, ("\ud800",), "cannot be written in UTF-8"),
        (Bell.ring, ("",), "the name of an object has 0 characters; 1 to 256 are allowed"),
        (Bell.ring_wrongly, (), "is not a public method of Bell"),
        (Bell.ring_with_too_little, (), "missing a required argument: 'text'"),
        (Bell.peek, (), "is marked as a read, but it changed or sent something"),
    ],
)
def test_what_cannot_be_sent_fails_the_call_that_sends_it(method: Any, args: tuple[Any, ...], why: str) -> None:
    runtime = SimulatedRuntime()
    bell = bells(runtime)
    names = ("name", "times", "text")
    with pytest.raises(ObjectFailed, match=why):
        runtime.run(bell("a").call(method, **dict(zip(names, args, strict=False))))
    assert list(runtime.disk.senders()) == []


def test_a_call_that_fails_leaves_room_for_what_the_next_one_sends() -> None:
    runtime = SimulatedRuntime()
    bell = bells(runtime)
    with pytest.raises(ObjectFailed):
        runtime.run(bell("a").call(Bell.ring_and_break, "b", MAX_SENDS))
    runtime.run(bell("a").call(Bell.ring, "b", times=MAX_SENDS))
    assert len(runtime.run(bell("b").call(Bell.heard))) == MAX_SENDS


def test_an_object_whose_calls_nobody_takes_is_overloaded_at_a_bound() -> None:
    runtime = SimulatedRuntime()
    letters = runtime.namespace("Letters", Letters)
    courier.broken.add("b")
    for _ in range(MAX_UNTAKEN_SENDS // MAX_SENDS):
        runtime.run(letters.get("a").call(Letters.write, to=["b"] * MAX_SENDS))
    runtime.crash()
    with pytest.raises(Overloaded, match=f"{MAX_UNTAKEN_SENDS} calls that Letters/a has sent are not taken yet"):
        runtime.run(letters.get("a").call(Letters.write, to=["c"]))
    courier.broken.clear()
    runtime.advance(MAX_ALARM_RETRY_MS / 1_000)
    runtime.run(letters.get("a").call(Letters.write, to=["c"]))


def test_what_is_sent_counts_for_the_bound_before_its_commit() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    letters = runtime.namespace("Letters", Letters)
    courier.broken.add("b")
    calls = [
        runtime.start(letters.get("a").call(Letters.write, to=["b"] * MAX_SENDS)) for _ in range(MAX_UNTAKEN_SENDS // MAX_SENDS)
    ]
    with pytest.raises(Overloaded, match=f"{MAX_UNTAKEN_SENDS} calls that Letters/a has sent are not taken yet"):
        runtime.run(letters.get("a").call(Letters.write, to=["c"]))
    runtime.commit()
    assert all(call.result() is None for call in calls)


def test_p6_deliveries_to_many_objects_leave_room_for_other_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_objects.outbox.MAX_DELIVERIES", 3)
    runtime = SimulatedRuntime(autocommit=False)
    letters = runtime.namespace("Letters", Letters)
    names = [f"receiver {number}" for number in range(10)]
    runtime.start(letters.get("a").call(Letters.write, to=[*names, "a"]))
    runtime.commit()
    assert (runtime.meter.sends, runtime.commits.waiting_calls) == (3, 3)
    runtime.run(letters.get("a").settle())
    assert sum(runtime.run(letters.get(name).call(Letters.read)) for name in names) == 8, "two of ten were refused"


class Relay(DurableObject):
    def pass_on(self, path: list[str], text: str) -> None:
        self.ctx.storage.put(f"{self.ctx.seq:06}", text.encode())
        if path:
            self.ctx.send(ObjectId("Relay", path[0]), Relay.pass_on, path[1:], text)

    def texts(self) -> list[str]:
        return [value.decode() for _, value in self.ctx.storage.list()]


@pytest.mark.parametrize("old", [[("b", "c")], [("a", "b"), ("a", "c")]])
def test_a_restarted_sender_keeps_its_order_though_a_delivery_makes_it_send_more(old: list[tuple[str, str]]) -> None:
    """Where deliveries run at once: the call that is passed on to ``c`` must not overtake the older one."""
    runtime = SimulatedRuntime(autocommit=False)
    relay = runtime.namespace("Relay", Relay).get
    path = ["b", "c"] if old[0][0] == "b" else ["b", "a", "c"]
    runtime.start(relay("a").call(Relay.pass_on, path, "new"))
    for sender, receiver in old:
        runtime.start(relay(sender).call(Relay.pass_on, [receiver], "old"))
    runtime.begin_commit()
    runtime.crash(after_commit=True)
    runtime.autocommit = True
    runtime.advance(10)
    assert runtime.run(relay("c").call(Relay.texts)) == ["old", "new"]


def test_an_object_stays_in_memory_while_a_removal_is_being_written() -> None:
    runtime = SimulatedRuntime(autocommit=False)
    bell = bells(runtime)
    runtime.run(bell("a").call(Bell.ring, "b"))
    runtime.run(bell("a").settle())
    runtime.advance(_REMOVE_AFTER_MS / 1_000)
    runtime.evict_idle(), runtime.evict_idle()
    assert runtime.live_objects == 1
    runtime.commit()
    assert list(runtime.disk.senders()) == []


def test_p1_a_restarted_process_delivers_what_the_last_one_had_no_time_for(tmp_path: Path) -> None:
    """The embedded runtime: rows found in the file, more of them than one delivery takes."""
    sent = 3 * _PAGE

    async def first() -> None:
        courier.broken.add("b")
        async with EmbeddedRuntime(tmp_path) as runtime:
            letters = runtime.namespace("Letters", Letters)
            for _ in range(sent // 50):
                await letters.get("a").call(Letters.write, to=["b"] * 50)
            with pytest.raises(OutcomeUnknown):
                await letters.get("a").settle()

    async def second() -> int:
        runtime = EmbeddedRuntime(tmp_path)
        letters = runtime.namespace("Letters", Letters)
        async with runtime:
            await letters.get("a").settle()
            return await letters.get("b").call(Letters.read)

    asyncio.run(first())
    store = Store(tmp_path)
    store.open()
    assert list(store.senders()) == [("Letters/a", sent)]
    store.close()
    courier.broken.clear()
    assert asyncio.run(second()) == sent - sent // 5
