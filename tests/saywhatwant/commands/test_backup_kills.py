"""P1 with the disk gone: a server under load, its backups and a restore are killed at random moments."""

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import httpx
import pytest
from terminal import sww

from durable_objects.embedded.backup import PARTIAL, Manifest
from durable_objects.embedded.change_log import Step, read_steps, step_paths
from saywhatwant.commands.backup_series import complete_backups
from servers import SWW, Server, environment, until

PROGRAM = Path(__file__).with_name("following_sww.py")
POST = {"username": "Human", "color": "169080199", "botParams": {"answer": False}}
ROUNDS = 3


class Acknowledged(NamedTuple):
    """A post that was answered."""

    text: str
    timestamp: int


class Poster:
    """Posts numbers, one after another, until it is stopped: a new one only after the last one was answered."""

    def __init__(self, server: Server, first: int) -> None:
        self.acknowledged: list[Acknowledged] = []
        self._stop = Event()
        self._thread = Thread(target=self._post, args=(server.url, first))
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _post(self, url: str, number: int) -> None:
        with httpx.Client(base_url=url, trust_env=False) as http:
            while not self._stop.is_set():
                try:
                    answer = http.post("/api/comments", json=POST | {"text": str(number)})
                except httpx.HTTPError:
                    return
                self.acknowledged.append(Acknowledged(str(number), answer.raise_for_status().json()["timestamp"]))
                number += 1


@contextmanager
def backing_up(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (directory / "backup.log").open("ab") as log:
        command = [sys.executable, str(PROGRAM), "backup", "--every", "1h", "--to", "copies", "--data", "data"]
        process = subprocess.Popen(command, cwd=directory, env=environment(), stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def last_state(copies: Path) -> Manifest | Step | None:
    """The newest state in the backups; None if there is none."""
    backups = complete_backups(copies) if copies.exists() else []
    if not backups:
        return None
    manifest, path = backups[-1]
    return ([manifest] + [step for _, step, _ in read_steps(path, manifest)])[-1]


def steps_in(copies: Path) -> int:
    return sum(len(step_paths(path)) for _, path in complete_backups(copies)) if copies.exists() else 0


def restored(directory: Path, randomness: random.Random) -> None:
    """Restore to ``data``; kill the restore at a random moment first."""
    arguments = ["restore", "--from", "copies", "--data", "data"]
    process = subprocess.Popen([SWW, *arguments], cwd=directory, env=environment(), stdout=subprocess.DEVNULL)
    try:
        process.wait(randomness.uniform(0.2, 0.8))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if not (directory / "data").exists():
        done = sww(directory, *arguments)
        assert done.status == 0, done.stderr
    assert not (directory / f"data{PARTIAL}").exists()


def texts(server: Server) -> list[str]:
    answer = server.http.get("/api/comments", params={"order": "asc"}).raise_for_status()
    return [message["text"] for message in answer.json()]


@pytest.mark.parametrize("seed", [1])
def test_p1_when_the_disk_is_lost_all_is_restored_that_was_durable_before_the_last_state_was_read(
    tmp_path: Path, seed: int
) -> None:
    """Judged by the times that the backups recorded, and by the order of the posts: what is restored is all of one moment."""
    run_rounds(tmp_path, random.Random(seed), ROUNDS)


def run_rounds(directory: Path, randomness: random.Random, rounds: int) -> None:
    """Lose the disk so many times; what was restored is the beginning of the next round."""
    copies, kept = directory / "copies", list[str]()
    with Server(directory, retention=100_000) as server:
        for number in range(rounds):
            poster = Poster(server, (number + 1) * 100_000)
            for _ in range(randomness.randint(1, 2)):
                with backing_up(directory) as process:
                    before = steps_in(copies)
                    wanted = before + randomness.randint(3, 15)
                    until(lambda wanted=wanted: steps_in(copies) >= wanted, "changes in the backup", every=0.02)  # type: ignore[misc]
                    assert process.poll() is None, (directory / "backup.log").read_text()
            with backing_up(directory):
                until(lambda poster=poster: len(poster.acknowledged) >= 20, "posts")  # type: ignore[misc]
                server.kill()
                shutil.rmtree(server.data)
            poster.stop()
            restored(directory, randomness)
            server.start()
            kept = judged(texts(server), kept, poster.acknowledged, last_state(copies))


def judged(found: list[str], kept: list[str], posted: list[Acknowledged], last: Manifest | Step | None) -> list[str]:
    """Check what was restored, ``found``, against what was there before the round, and the posts of the round."""
    assert last is not None
    assert found[: len(kept)] == kept
    new = found[len(kept) :]
    acknowledged = [post.text for post in posted]
    # One more post may have been durable, and its answer lost with the server.
    assert new == [str(int(acknowledged[0]) + number) for number in range(len(new))]
    assert len(new) <= len(acknowledged) + 1
    # Each post began after the one before it was durable: all are there that were, before the last state was read.
    durable = [post.text for post, after in pairwise(posted) if after.timestamp < last.time]
    assert durable
    assert new[: len(durable)] == durable
    return found
