"""The benchmark of restarts notices what fails, is lost or comes twice; no time is looked at."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.crowd import Crowd, Post, Reader, Seen
from benchmarks.failures import LoadFailed
from benchmarks.restart import Restart, measure, outcome_of
from benchmarks.restart_ways import WAYS
from durable_objects.restate.ports import free_port
from servers import DEADLINE_SECONDS


@pytest.mark.parametrize("way", ["signal", "socket", "gateway"])
def test_p1_p4_p5_a_restart_under_load_fails_no_request_and_loses_and_doubles_nothing(tmp_path: Path, way: str) -> None:
    with WAYS[way](tmp_path) as wall:
        outcome = asyncio.run(measure(wall, restarts=1, rate=40, between=0.5))
    assert outcome.failures == []
    assert outcome.is_good
    assert outcome.posts > 0
    assert len(outcome.waits_ms) == len(outcome.gaps_ms) == 1


def test_each_request_that_fails_is_noted() -> None:
    async def failures() -> tuple[Crowd, set[str]]:
        async with Crowd(f"http://127.0.0.1:{free_port()}", rate=20) as crowd, asyncio.timeout(DEADLINE_SECONDS):
            while len(kinds := {failure.split()[0].rstrip(",:") for failure in crowd.failures}) < 3:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
            await crowd.stop_posting()
            crowd.check()
            return crowd, kinds

    crowd, kinds = asyncio.run(failures())
    assert kinds == {"post", "poll", "handshake"}
    assert all(post.answered is None for post in crowd.posts)
    with pytest.raises(LoadFailed, match=r"no post was accepted: .*(refused|Connect)"):
        outcome_of(crowd, [], [])


def human(number: int, message_id: str) -> Seen:
    return Seen(message_id, number, str(number), "human", seq=number)


def reply(number: int, reply_to: str) -> Seen:
    return Seen(f"reply{number}", number, "Because.", "AI", reply_to, number)


def crowd_of(*posts: Post) -> Crowd:
    crowd = Crowd("http://127.0.0.1:9", rate=2)
    crowd.posts = list(posts)
    return crowd


def test_what_is_lost_or_comes_twice_is_counted() -> None:
    crowd = crowd_of(Post(0, 0.0, 1.0, "zero"), Post(1, 0.5, 1.0, "one"), Post(2, 1.0, 1.5, "two"), Post(10, 1.5, 2.0, "ten"))
    reader = Reader()
    for message in (human(0, "zero"), human(0, "zero")):
        reader.take(message)
    crowd.readers = [reader]
    stored = [human(0, "zero"), human(1, "one"), human(1, "again"), human(10, "ten"), reply(11, "zero"), reply(12, "zero")]
    outcome = outcome_of(crowd, [], stored)
    assert (outcome.lost, outcome.doubled) == (1, 1)
    assert (outcome.answers_lost, outcome.answers_doubled) == (1, 1)
    assert (outcome.missed, outcome.read_twice) == (5, 1)
    assert not outcome.is_good


def test_waits_count_from_when_a_post_was_due_and_those_of_a_restart_count_apart() -> None:
    before, during, after = Post(1, 0.0, 0.25, "one"), Post(2, 1.0, 3.0, "two"), Post(3, 4.0, 4.5, "three")
    stored = [human(1, "one"), human(2, "two"), human(3, "three")]
    outcome = outcome_of(crowd_of(before, during, after), [Restart(0.5, 3.5)], stored)
    assert (outcome.waits_ms, outcome.gaps_ms) == ([2_000], [2_750])
    assert (outcome.p50_ms, outcome.p99_ms) == (500, 500)
    assert outcome.is_good
