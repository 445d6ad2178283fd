"""A gateway that knows no object of the wall yet, over a network: none of its first calls sees a wall that looks empty."""

import asyncio
from pathlib import Path

import pytest
from walls import a_post

from durable_objects.embedded import EmbeddedRuntime
from durable_objects.wire import WireRuntime
from saywhatwant.message import decode_list
from saywhatwant.queue.config import QueueConfig
from saywhatwant.topology import Wall, open_wall
from scenario import run

CONFIG = QueueConfig(entities=("zen", "joy"))
ENTITIES = ["zen", "joy", "zen"]
READERS = 6


async def texts(wall: Wall) -> list[str]:
    """Sorted, since those of different objects may have the same time."""
    return sorted(message.text for message in decode_list((await wall.read()).body))


@pytest.mark.parametrize("seed", range(10))
def test_p5_calls_that_a_new_gateway_makes_at_once_all_see_the_whole_wall(tmp_path: Path, seed: int) -> None:
    async def scenario() -> None:
        runtime = WireRuntime(EmbeddedRuntime(tmp_path), seed=seed)
        old = open_wall(runtime, CONFIG, "per-entity")
        new = open_wall(runtime.gateway(), CONFIG, "per-entity")
        async with runtime:
            posted = [await old.post(a_post(entity, entity=entity)) for entity in ENTITIES]
            position = await old.position()
            pages, claims, positions = await asyncio.gather(
                asyncio.gather(*(texts(new) for _ in range(READERS))),
                asyncio.gather(*(new.claim(one.id, "bot") for one in posted)),
                asyncio.gather(*(new.position() for _ in range(READERS))),
            )
        assert pages == [sorted(ENTITIES)] * READERS
        assert len(claims) == len(posted)
        assert all(dict(one).keys() == dict(position).keys() for one in positions)

    run(scenario())
