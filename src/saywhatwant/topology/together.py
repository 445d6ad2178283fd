"""Several calls at once."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def together(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of ``calls``, in order; raises the first error. Without an event loop, one call is made after another."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return await _in_turn(calls)
    return [await calls[0]] if len(calls) == 1 else await asyncio.gather(*calls)


async def _in_turn(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    try:
        return [await call for call in calls]
    finally:
        for call in calls:
            call.close()
