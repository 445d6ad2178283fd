"""Rules that no linter has: tests read no clock, and words are plain."""

import re
from pathlib import Path

import pytest

from documents import ROOT

CLOCKS = re.compile(r"perf_counter|process_time|time\.monotonic\(|\btime\.time\(|getrusage|ru_maxrss|VmRSS|/stat\b")
UNPLAIN = re.compile(r"\b(?:can not|anew|whoever|hears of|is told)\b", re.IGNORECASE)
EXEMPT = {
    ROOT / "tests" / "servers.py",  # the deadline of what hangs
    Path(__file__),
}


def lines_with(words: re.Pattern[str], pattern: str) -> list[str]:
    """The lines of the files of a glob pattern that match, each with its file and number."""
    paths = [path for path in sorted(ROOT.glob(pattern)) if "node_modules" not in path.parts]
    assert paths
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        if path not in EXEMPT
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]


@pytest.mark.parametrize("pattern", ["*.py", "tests/**/*.py", "torture/**/*.py"])
def test_no_test_reads_a_clock_or_measures_a_process(pattern: str) -> None:
    """A bound on time, processor time or memory belongs to the benchmarks: in a test it fails on a slower machine."""
    assert lines_with(CLOCKS, pattern) == []


@pytest.mark.parametrize(
    "pattern", ["*.md", "docs/**/*.md", "docs/**/*.py", "src/**/*.py", "src/**/*.js", "src/**/*.toml", "tests/**/*.py"]
)
def test_words_are_plain(pattern: str) -> None:
    assert lines_with(UNPLAIN, pattern) == []
