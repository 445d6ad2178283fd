"""P7 on every topology: what a repeated post gets, whatever has become of the first one's message meanwhile."""

from typing import Any, get_args

import pytest
from walls import SimulatedWall, a_post

from durable_objects import KeyReused, ObjectFailed
from saywhatwant.errors import BacklogFull, IdTaken, NotTheHolder, WrongState
from saywhatwant.queue.shard import route_of
from saywhatwant.queue.whole_wall import WholeWall
from saywhatwant.topology import Topology

ALIKE = ("e2", "e17")
"""Two entities whose objects make ids that begin in the same way."""

HOUR = 3_600

on_every_topology = pytest.mark.parametrize("topology", get_args(Topology))


def an_answer_to(message_id: str, **fields: Any) -> dict[str, Any]:
    return {"text": "Because.", "message_type": "AI", "reply_to": message_id, "worker_id": "bot", "attempt": 1} | fields


@on_every_topology
def test_p7_a_repeated_answer_gets_the_first_ones_id(topology: Topology) -> None:
    assert len({route_of(f"queue:{entity}") for entity in ALIKE}) == 1
    wall = SimulatedWall(topology, entities=ALIKE)
    for entity in ALIKE:
        answer = an_answer_to(wall.post(entity=entity).id, key=f"key of {entity}")
        wall.claim_next(entities=(entity,))
        first = wall.post(**answer)
        again = wall.another_gateway().post(**answer)
        assert (again.id, again.timestamp, again.repeated) == (first.id, first.timestamp, True)
        with pytest.raises(KeyReused):
            wall.post(**answer | {"text": "Why not?"})


@on_every_topology
@pytest.mark.parametrize("name", ["id", "key"])
def test_p7_a_repeated_answer_gets_the_first_ones_id_though_both_are_removed(topology: Topology, name: str) -> None:
    wall = SimulatedWall(topology, retention=1, talk_retention=0)
    asked = wall.post(entity="zen").id
    (claimed,) = wall.claim_next()
    answer = an_answer_to(asked, **{name: "myanswer"})
    first = wall.post(**answer)
    wall.complete(claimed)
    for _ in range(3):
        wall.runtime.advance(1)
        wall.post("Later.", entity="zen", answer=False)
    assert wall.texts() == ["Later."]
    again = wall.another_gateway().post(**answer)
    assert (again.id, again.timestamp, again.repeated) == (first.id, first.timestamp, True)
    assert wall.texts() == ["Later."]


@on_every_topology
@pytest.mark.parametrize("name", ["id", "key"])
def test_p7_a_refused_answer_leaves_its_key_free(topology: Topology, name: str) -> None:
    wall = SimulatedWall(topology)
    answer = an_answer_to(wall.post(entity="zen").id, **{name: "myanswer"})
    with pytest.raises((NotTheHolder, WrongState)):
        wall.post(**answer | {"text": "Too early."})
    wall.claim_next()
    assert not wall.post(**answer).repeated


@pytest.mark.parametrize("is_completed", [False, True])
def test_p7_an_answer_whose_key_could_not_be_kept_is_repeated_all_the_same(
    monkeypatch: pytest.MonkeyPatch, *, is_completed: bool
) -> None:
    wall = SimulatedWall("hybrid")
    answer = an_answer_to(wall.post(entity="zen").id, id="myanswer")
    (claimed,) = wall.claim_next()
    first_answer = WholeWall.first_answer

    def kept_never(self: WholeWall, new: Any, posted: Any = None) -> Any:
        if posted is not None:
            raise ZeroDivisionError
        return first_answer(self, new, posted)

    with monkeypatch.context() as patch:
        patch.setattr(WholeWall, "first_answer", kept_never)
        with pytest.raises(ObjectFailed):
            wall.post(**answer)
    if is_completed:
        wall.complete(claimed)
        with pytest.raises(IdTaken):
            wall.post(**answer | {"text": "Why not?"})
    assert wall.post(**answer).repeated
    assert [message.id for message in wall.read() if message.message_type == "AI"] == ["myanswer"]


def test_p7_a_message_posted_again_a_day_later_is_found_for_as_long_as_it_is_there() -> None:
    wall = SimulatedWall(retention=1, talk_retention=0, max_wait_ms=100 * HOUR * 1_000)
    wall.post("Mine.", id="myownid", entity="zen", answer=False)
    for _ in range(30):
        wall.runtime.advance(HOUR)
        wall.post("Later.", entity="zen", answer=False)
    assert not wall.post("Mine.", id="myownid", entity="zen").repeated
    wall.runtime.advance(30 * HOUR)
    for number in range(3):
        wall.post("Other.", id=f"other{number}", entity="joy", answer=False)
    (claimed,) = wall.claim_next()
    assert wall.another_gateway().complete(claimed) is not None


def test_p7_the_id_of_a_removed_message_is_free_a_day_after_it_was_repeated_last() -> None:
    wall = SimulatedWall(retention=1, talk_retention=0)
    wall.post("Mine.", id="myownid", entity="zen", answer=False)
    wall.post("Later.", entity="zen", answer=False)
    assert wall.post("Mine.", id="myownid", entity="zen", answer=False).repeated
    with pytest.raises(KeyReused):
        wall.post("Mine.", id="myownid", entity="joy", answer=False)
    wall.runtime.advance(30 * HOUR)
    assert not wall.post("Mine.", id="myownid", entity="joy", answer=False).repeated


def test_p4_an_id_that_two_posts_name_at_once_stays_known_when_one_of_them_is_refused() -> None:
    wall = SimulatedWall()
    gateway: Any = wall.wall
    post_within_limit = gateway._post_within_limit

    async def refused(*_: Any) -> None:
        gateway._post_within_limit = post_within_limit
        await gateway.post(a_post(entity="zen", id="myownid"))
        raise BacklogFull("full")

    gateway._post_within_limit = refused
    with pytest.raises(BacklogFull):
        wall.post(entity="zen", id="myownid")
    (claimed,) = wall.claim_next()
    assert wall.complete(claimed) is not None
