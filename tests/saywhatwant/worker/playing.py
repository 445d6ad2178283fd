"""The fixture of tests that play on a ``stage``."""

from pathlib import Path

import pytest
from stage import Play


@pytest.fixture
def play(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Play:
    return Play(tmp_path, caplog)
