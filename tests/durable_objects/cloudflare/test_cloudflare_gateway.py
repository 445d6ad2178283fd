"""A gateway to Durable Objects elsewhere: its streams and calls do not end each other."""

import asyncio
from collections.abc import Callable

import pytest

from durable_objects import Context, DurableObject, EventsLost
from durable_objects.cloudflare.stub import Gateway
from durable_objects.exchange import ANSWER, Answer
from scenario import run


class Nothing(DurableObject):
    """It does nothing."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)

    def call(self) -> None:
        """Change nothing."""


class SlowListener:
    """Objects that answer at once, and listen when they may."""

    def __init__(self) -> None:
        self.may_listen = asyncio.Event()
        self.error: Exception | None = None
        self.is_listening = False

    async def call(self, name: str, request: bytes) -> bytes:  # noqa: ARG002 - see Binding
        return ANSWER.encode(Answer())

    async def listen(
        self,
        name: str,  # noqa: ARG002
        request: bytes,  # noqa: ARG002
        receive: Callable[[bytes], None],  # noqa: ARG002
        ended: Callable[[], None],  # noqa: ARG002
    ) -> Callable[[], None]:
        await self.may_listen.wait()
        if self.error is not None:
            raise self.error
        self.is_listening = True
        return lambda: None


def test_a_call_that_is_cancelled_ends_neither_other_calls_nor_the_stream() -> None:
    async def scenario() -> None:
        objects = SlowListener()
        async with Gateway({"Nothing": objects}) as gateway:
            stub = gateway.namespace("Nothing", Nothing).get("a")
            stub.events()
            one, other = (asyncio.create_task(stub.call(Nothing.call)) for _ in range(2))
            await asyncio.sleep(0)
            one.cancel()
            await asyncio.wait([one])
            objects.may_listen.set()
            await other
            assert objects.is_listening

    run(scenario())


def test_a_connection_that_fails_in_any_way_ends_its_stream_alone() -> None:
    async def scenario() -> None:
        objects = SlowListener()
        objects.error = ZeroDivisionError("no socket")
        objects.may_listen.set()
        async with Gateway({"Nothing": objects}) as gateway:
            stub = gateway.namespace("Nothing", Nothing).get("a")
            events = stub.events()
            await stub.call(Nothing.call)
            with pytest.raises(EventsLost, match="no socket"):
                await anext(events)

    run(scenario())
