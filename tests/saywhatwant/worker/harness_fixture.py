"""The fixture of tests that use a ``Harness``."""

from pathlib import Path

import pytest
from harness import Run


@pytest.fixture
def run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Run:
    return Run(tmp_path, caplog)
