"""The programs of the guide print what their comments promise. That every program runs is checked with all other documents'."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from documents import Block, blocks

PROGRAMS = [block for block in blocks("docs/durable_objects.md") if block.language == "python"]
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


def test_the_guide_has_programs() -> None:
    assert len(PROGRAMS) >= 3
    assert all(PRINTED.search(block.text) for block in PROGRAMS)


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: re.findall(r"class (\w+)\(DurableObject", block.text)[0])
def test_a_program_prints_what_it_promises(block: Block, tmp_path: Path) -> None:
    command = [sys.executable, "-c", block.text]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    promised = [line for comment in PRINTED.findall(block.text) for line in comment.split(" / ")]
    assert done.stdout.splitlines() == promised
