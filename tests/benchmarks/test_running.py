"""Servers and loads of a benchmark end in every case of failure."""

import sys
from pathlib import Path

import pytest

from benchmarks.failures import LoadFailed, Missing, ServerFailed, note
from benchmarks.loads import LOADS
from benchmarks.running import running
from benchmarks.wrk import measure

READY = "print('ready on http://127.0.0.1:9', file=sys.stderr, flush=True)"
WRK_OUTPUT = """Running 2s test @ http://127.0.0.1:9/api/comments
  1 threads and 32 connections
  Latency Distribution
     50%  812.00us
     75%    1.10ms
     90%    1.50ms
     99%    2.25ms
  {requests} requests in 2.00s, 3.55MB read
{more}Requests/sec:  14002.50
Transfer/sec:      1.77MB
"""


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import sys, signal, time\n{code}")


@pytest.fixture
def fake_wrk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name; what it does is written by each test."""
    program = tmp_path / "wrk"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def prints(program: Path, *, requests: int = 28_005, more: str = "", then: str = "") -> None:
    output = WRK_OUTPUT.format(requests=requests, more=more)
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{output}END\n{then}\n")
    program.chmod(0o755)


def test_a_server_that_ends_before_it_is_ready_is_reported_with_its_last_output() -> None:
    with (
        pytest.raises(ServerFailed, match="status 3 before it was ready: no disk"),
        running(*python("sys.exit(print('no disk', file=sys.stderr) or 3)")),
    ):
        pass


def test_a_server_that_never_gets_ready_is_given_up() -> None:
    silent = running(*python("time.sleep(1_000)"), start_seconds=0.1)
    with pytest.raises(ServerFailed, match=r"did not start within 0.1 s"), silent:
        pass


def test_a_server_that_dies_under_a_load_is_reported_instead_of_the_load() -> None:
    with pytest.raises(ServerFailed, match="ended with status 7"), running(*python(f"{READY}; sys.exit(7)")):
        raise LoadFailed("connection refused")


def test_a_failure_under_a_server_that_still_runs_stays_what_it_is() -> None:
    with pytest.raises(LoadFailed, match="refused"), running(*python(f"{READY}; time.sleep(1_000)")):
        raise LoadFailed("refused")


def test_a_server_that_ignores_sigterm_is_killed() -> None:
    ignores = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}; time.sleep(1_000)"
    with running(*python(ignores), stop_seconds=0.1) as server:
        pass
    assert not Path(f"/proc/{server.pids[0]}").exists()


def test_what_wrk_prints_becomes_a_figure(fake_wrk: Path) -> None:
    prints(fake_wrk)
    assert measure("http://127.0.0.1:9", LOADS["post-32"], 2) == (14002.5, 0.812, 2.25, 28_005, 0.0)


def test_round_trips_are_counted_instead_of_requests(fake_wrk: Path) -> None:
    prints(fake_wrk, then="echo 'round trips: 5601 refused: 0'")
    figure = measure("http://127.0.0.1:9", LOADS["round-trip"], 2)
    assert figure.answers == 5_601
    assert figure.per_second == pytest.approx(2_800.5)


@pytest.mark.parametrize(
    ("more", "requests", "reason"),
    [
        ("  Socket errors: connect 0, read 12, write 0, timeout 3\n", 28_005, "read 12, write 0, timeout 3"),
        ("  Non-2xx or 3xx responses: 29\n", 28_005, "29 of 28005 answers were unsuccessful"),
        ("", 0, "no answer in 2 s"),
    ],
)
def test_a_load_that_is_not_answered_as_it_should_be_has_failed(fake_wrk: Path, more: str, requests: int, reason: str) -> None:
    prints(fake_wrk, more=more, requests=requests)
    with pytest.raises(LoadFailed, match=reason):
        measure("http://127.0.0.1:9", LOADS["post-32"], 2)


def test_a_few_refusals_are_part_of_a_load(fake_wrk: Path) -> None:
    prints(fake_wrk, more="  Non-2xx or 3xx responses: 28\n")
    assert measure("http://127.0.0.1:9", LOADS["post-32"], 2).answers == 28_005


def test_a_load_that_hangs_is_given_up(fake_wrk: Path) -> None:
    prints(fake_wrk, then="exec sleep 1000")
    with pytest.raises(LoadFailed, match=r"still running 0.1 s after its 0 s"):
        measure("http://127.0.0.1:9", LOADS["post-32"], 0, grace_seconds=0.1)


def test_without_wrk_the_note_names_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="apt-get install wrk"):
        measure("http://127.0.0.1:9", LOADS["post-32"], 2)


def test_a_note_is_one_short_line() -> None:
    assert note(ServerFailed("two\n  lines")) == "two lines"
    assert note(KeyError("seq")) == "KeyError: 'seq'"
    assert len(note(ServerFailed("x" * 1_000))) == 160
