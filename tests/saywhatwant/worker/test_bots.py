"""The bots that a server has seen: who serves what, which files differ, and what is forgotten (P4, P6)."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.schemas import Conflict
from saywhatwant.worker.bots import CLAIMED_SECONDS, LATELY_SECONDS, Bots
from saywhatwant.worker.limits import MAX_BOT_ENTITIES, MAX_BOTS


class Room:
    """A registry on a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.bots = Bots(clock=lambda: self.now, now_ms=lambda: round(self.now * 1_000))

    def claim(self, worker: str, personas: dict[str, str] | None = None, entities: Iterable[str] | None = ()) -> list[Conflict]:
        return self.bots.claims(worker, entities, personas, "1.0")

    @property
    def workers(self) -> list[str]:
        return [bot.worker_id for bot in self.bots.listing()]


def test_p4_an_entity_is_served_while_a_bot_that_claims_for_it_is_seen() -> None:
    room = Room()
    room.claim("bot", entities=["zen"])
    assert (room.bots.serving("zen"), room.bots.serving("rude")) == ({"bot"}, set())
    room.now += LATELY_SECONDS
    assert room.bots.serving("zen") == {"bot"}
    room.now += 1
    assert room.bots.serving("zen") == set()
    room.bots.calls("bot")
    assert room.bots.serving("zen") == {"bot"}, "a bot that works on a long answer claims nothing, and is here"
    room.bots.leaves("bot")
    assert room.bots.serving("zen") == set(), "it has closed its connection"
    room.bots.calls("bot")
    assert room.bots.serving("zen") == set(), "it only gives back what it held"
    room.claim("bot", entities=["rude"])
    assert (room.bots.serving("zen"), room.bots.serving("rude")) == ({"bot"}, {"bot"})


def test_p4_an_entity_that_left_its_bots_file_is_no_longer_served() -> None:
    room = Room()
    room.claim("bot", entities=["zen", "rude"])
    room.now += CLAIMED_SECONDS
    room.claim("bot", entities=["zen"])
    room.now += 1
    assert (room.bots.serving("zen"), room.bots.serving("rude")) == ({"bot"}, set())
    (bot,) = room.bots.listing()
    assert bot.entities == ["zen"]


@pytest.mark.parametrize("entity", ["zen", "any-name"])
def test_p4_a_bot_that_names_no_entity_serves_all(entity: str) -> None:
    room = Room()
    room.claim("bot", entities=None)
    assert room.bots.serving(entity) == {"bot"}
    (bot,) = room.bots.listing()
    assert (bot.entities, bot.personas) == (None, {})


def test_p8_two_bots_with_files_that_differ_are_noticed_until_one_is_gone() -> None:
    room = Room()
    assert room.claim("one", {"zen": "a" * 16, "rude": "b" * 16}) == []
    assert room.claim("two", {"zen": "a" * 16, "rude": "c" * 16, "eliza": "d" * 16}) == [Conflict("rude", "one")]
    assert room.claim("three", {"rude": "c" * 16}) == [Conflict("rude", "one")]
    assert {bot.worker_id: bot.conflicts for bot in room.bots.listing()} == {
        "one": [Conflict("rude", "three")],
        "two": [Conflict("rude", "one")],
        "three": [Conflict("rude", "one")],
    }
    assert room.claim("silent", entities=["rude"]) == [], "one that sends no digests conflicts with nobody"
    assert room.claim("one", {"rude": "c" * 16}) == [], "its file was mended"
    room.claim("one", {"rude": "b" * 16})
    room.bots.leaves("one")
    assert room.claim("two", {"rude": "c" * 16}) == []
    assert {bot.worker_id: (bot.here, bot.conflicts) for bot in room.bots.listing()}["one"] == (False, [])


def test_p8_an_entity_that_left_a_bots_file_is_no_conflict_any_more() -> None:
    room = Room()
    room.claim("one", {"zen": "a" * 16, "rude": "b" * 16})
    room.now += CLAIMED_SECONDS
    room.claim("one", {"rude": "b" * 16})
    room.now += 1
    assert room.claim("two", {"zen": "c" * 16}) == []


def test_p8_operators_see_each_bot_of_the_last_hour_the_latest_first() -> None:
    room = Room()
    room.claim("one", {"zen": "a" * 16}, ["zen"])
    room.now += 5
    room.claim("two", entities=["rude", "eliza"])
    first, second = room.bots.listing()
    assert (first.worker_id, first.version, first.entities, first.personas) == ("two", "1.0", ["eliza", "rude"], {})
    assert (second.worker_id, second.entities, second.personas) == ("one", ["zen"], {"zen": "a" * 16})
    assert (first.last_seen, second.last_seen, first.here) == (1_005_000, 1_000_000, True)
    assert len(room.bots) == 2
    room.now += CLAIMED_SECONDS
    room.claim("three")
    assert len(room.bots) == 1
    assert room.workers == ["three", "two"]


WORKERS = st.sampled_from([f"bot-{number}" for number in range(MAX_BOTS + 20)])


@given(claims=st.lists(st.tuples(WORKERS, st.integers(0, MAX_BOT_ENTITIES + 20)), max_size=40), base=st.integers(0, 10**6))
def test_p6_the_registry_is_bounded_and_the_longest_unseen_go_first(claims: list[tuple[str, int]], base: int) -> None:
    room = Room()
    for number in range(MAX_BOTS):
        room.claim(f"older-{number}")
    seen: dict[str, None] = {}
    for worker, entities in claims:
        room.claim(worker, entities=[f"e-{base + number}" for number in range(entities)])
        seen.pop(worker, None)
        seen[worker] = None
        room.bots.calls(None)
        room.bots.calls("never-claimed")
    assert len(room.workers) == MAX_BOTS
    assert room.workers[: len(seen)] == list(reversed(seen))
    assert max(len(bot.entities or ()) for bot in room.bots.listing()) <= MAX_BOT_ENTITIES
