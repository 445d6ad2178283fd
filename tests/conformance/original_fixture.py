"""The fixture of tests that use a wall for the original's clients."""

from collections.abc import Iterator

import pytest
from original_wall import ENTITIES

from conftest import MakeServer
from servers import Server


@pytest.fixture(scope="module")
def wall(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose entity zen answers under other names too, and whose entity eliza does not."""
    directory = tmp_path_factory.mktemp("wall")
    (directory / "entities.toml").write_text(ENTITIES)
    with make_server(directory, retention=100_000, entities="entities.toml", open_entities="true") as started:
        yield started
