"""An archive with small bounds, so that a few messages fill it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from saywhatwant.queue import archive, entries, index, messages


@contextmanager
def small_archive(recent: int = 2, together: int = 2) -> Iterator[None]:
    """Objects that are called in this block archive all but ``recent`` finished messages, ``together`` at a time."""
    bounds = {
        messages: {"RECENT": recent, "ARCHIVED_TOGETHER": together, "MAX_ARCHIVED": 3, "MAX_NOTES": 4},
        index: {"READ_TOGETHER": 2},
        archive: {"ROW_MESSAGES": 3, "MAX_LISTED_ENTITIES": 2, "TIMES_IN_ROW": 2, "SLACK": 2},
        entries: {"CACHED_BYTES": 1_500},
    }
    with pytest.MonkeyPatch.context() as patch:
        for module, values in bounds.items():
            for name, value in values.items():
                patch.setattr(module, name, value)
        yield
