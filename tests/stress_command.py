"""``sww stress``, run to its end."""

import subprocess
from pathlib import Path

from servers import DEADLINE_SECONDS, SWW, environment


def stress(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What it says and how it ends, on a terminal of 200 columns."""
    return subprocess.run(
        [SWW, "stress", *arguments],
        cwd=directory,
        env=environment() | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
