"""User code that a type checker must accept, and code that it must refuse."""

import re
import subprocess
import sys
from pathlib import Path

import durable_objects

PROGRAM = """
from collections.abc import Callable
from typing import assert_type

from msgspec import Struct

from durable_objects import Context, DurableObject, Namespace, ObjectId, Runtime, Stub, read


class Step(Struct, frozen=True):
    size: int = 1


class Counter(DurableObject):
    def __init__(self, ctx: Context, config: Step = Step()) -> None:
        super().__init__(ctx)
        self.step = config.size

    def add(self, count: int, *, twice: bool = False) -> int:
        self.ctx.storage.put("count", b"%d" % count)
        return count

    def reset(self) -> None: ...

    @read
    def total(self, *, since: int = 0) -> float:
        return 1.0


class Elder(Counter):
    def age(self) -> float:
        return 1.0


class Other(DurableObject):
    def add(self, count: int) -> int:
        return count


async def calls(counter: Stub[Counter], elder: Stub[Elder]) -> None:
    assert_type(await counter.call(Counter.add, 2), int)
    assert_type(await counter.call(Counter.add, 2, twice=True), int)
    assert_type(await counter.call(Counter.add, count=2), int)
    assert_type(await elder.call(Elder.age), float)
    assert_type(await elder.call(Counter.add, 2), int)
    await counter.call(Counter.reset)
    await counter.call(Counter.add, "x")  # E: arg-type
    await counter.call(Counter.add)  # E: call-arg
    await counter.call(Counter.add, 2, 3)  # E: call-arg  # E: arg-type
    await counter.call(Counter.add, 2, thrice=True)  # E: call-arg
    await counter.call(Counter.reset, 1)  # E: call-arg
    await counter.call(Other.add, 2)  # E: arg-type
    await counter.call(Elder.age)  # E: arg-type
    await counter.call(Counter.missing)  # E: attr-defined
    await counter.call("add", 2)  # E: arg-type
    text: str = await counter.call(Counter.add, 2)  # E: arg-type
    counter.call(Counter.add, 2).bit_length()  # E: attr-defined
    counter.add(2)  # E: attr-defined
    async with counter.events(since=7) as events:
        async for seq, data in events:
            assert_type(seq, int | None)
            assert_type(data, tuple[bytes, ...])
    counter.events(since="7")  # E: arg-type
    assert_type(await counter.call(Counter.total, since=1), float)
    await counter.call(Counter.total, 1)  # E: call-arg
    assert_type(await counter.options(idempotency_key="a").call(Counter.add, 2), int)
    await counter.options(idempotency_key="a", on_repeat=print).call(Counter.add, "x")  # E: arg-type
    counter.options("a")  # E: call-arg


def declares(runtime: Runtime) -> None:
    assert_type(runtime.namespace("Counter", Counter), Namespace[Counter])
    assert_type(runtime.namespace("Counter", Counter, Step(2)), Namespace[Counter])
    assert_type(runtime.namespace("Counter", Counter).get("a"), Stub[Counter])
    elder: Stub[Counter] = runtime.namespace("Elder", Elder).get("a")
    other: Stub[Counter] = runtime.namespace("Other", Other).get("a")  # E: assignment
    runtime.namespace("str", str)  # E: type-var
    runtime.namespace("Counter", Counter, 2)  # E: arg-type
    runtime.namespace("Counter", Counter).get(1)  # E: arg-type


def touches(ctx: Context) -> None:
    assert_type(ctx.storage.get("key"), bytes | None)
    ctx.storage.put("key", "text")  # E: arg-type
    ctx.storage.list("prefix", "after")  # E: call-arg
    ctx.set_alarm(1.5)  # E: arg-type
    ctx.set_alarm(None)
    ctx.publish("text")  # E: arg-type
    ctx.signal("text")  # E: arg-type
    ctx.send(ObjectId("Counter", "a"), Counter.add, 2, twice=True)
    ctx.send(ObjectId("Counter", "a"), Counter.add, "x")  # E: arg-type
    ctx.send("Counter/a", Counter.reset)  # E: arg-type
    ctx.seq = 2  # E: misc
"""


def test_a_type_checker_finds_each_wrong_call_and_nothing_else(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    expected = {
        (number, code) for number, line in enumerate(PROGRAM.splitlines(), 1) for code in re.findall(r"# E: ([\w-]+)", line)
    }
    source = Path(durable_objects.__file__).parent.parent
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file=", f"--cache-dir={tmp_path}"]
    done = subprocess.run([*command, str(program)], capture_output=True, text=True, check=False, env={"MYPYPATH": str(source)})
    errors = re.findall(r"^.*program\.py:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    assert {(int(number), code) for number, code in errors} == expected, done.stdout + done.stderr
