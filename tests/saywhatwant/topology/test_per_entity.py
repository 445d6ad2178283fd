"""One object for each entity: every call finds its object, and readers see one wall."""

import itertools
from typing import Any

import pytest
from msgspec import UNSET
from walls import SimulatedWall, a_post

from durable_objects import KeyReused
from saywhatwant.errors import BacklogFull, IdTaken, UnknownMessage
from saywhatwant.message import decode, decode_list
from saywhatwant.queue.shard import QueueShard, route_of
from saywhatwant.queue.waiting import Wait
from saywhatwant.schemas import BatchRequest, CircuitReport
from saywhatwant.topology import START


def test_each_entity_has_an_object_and_readers_see_one_wall() -> None:
    wall = SimulatedWall()
    for number, entity in enumerate(["zen", "joy", None, "zen"]):
        wall.runtime.advance(0.001)
        wall.post(str(number), entity=entity)
    assert wall.texts() == ["3", "2", "1", "0"]
    assert wall.texts(newest_first=False, limit=2) == ["0", "1"]
    assert {message.id[:2] for message in wall.read()} == {route_of(name) for name in ("queue:", "queue:zen", "queue:joy")}


def test_p5_messages_of_the_same_time_stay_on_one_page() -> None:
    wall = SimulatedWall()
    for entity in ("zen", "joy", "sea"):
        wall.post("earlier", entity=entity)
    wall.runtime.advance(1)
    posted = [wall.post(entity=entity) for entity in ("zen", "joy", "sea")]
    assert len({one.timestamp for one in posted}) == 1
    for newest_first in (True, False):
        page = wall.read(since=posted[0].timestamp - 1, limit=1, newest_first=newest_first)
        assert {message.id for message in page} == {one.id for one in posted}


def test_p5_nothing_comes_before_what_a_reader_has_seen() -> None:
    wall = SimulatedWall()
    wall.post("first", entity="zen")
    wall.post("joy exists", entity="joy")
    wall.runtime.advance(1)
    seen = wall.post("seen", entity="zen").timestamp
    assert wall.texts(limit=1) == ["seen"]
    wall.runtime.advance(-100)
    for entity in ("joy", "new", None):
        assert wall.post(f"late {entity}", entity=entity).timestamp > seen
    assert set(wall.texts(since=seen)) == {"late joy", "late new", "late None"}


def test_a_read_of_nothing_new_has_the_same_etag_and_writes_nothing() -> None:
    wall = SimulatedWall()
    for entity in ("zen", "joy", None):
        wall.post(entity=entity)
    wall.runtime.advance(1)
    wall.post("newer", entity="zen")
    first = wall.run(wall.wall.read(limit=10))
    commits = wall.runtime.meter.commits
    again = wall.run(wall.another_gateway().wall.read(limit=10))
    assert (again.etag, again.body) == (first.etag, first.body)
    assert wall.runtime.meter.commits == commits
    assert wall.all_changes(wall.run(wall.wall.position()))[1] == []


def test_p5_what_comes_while_a_page_is_read_pushes_nothing_off_it() -> None:
    wall = SimulatedWall()
    for text, entity in (("joy 1", "joy"), ("joy 2", "joy"), ("zen 1", "zen")):
        wall.runtime.advance(0.001)
        wall.post(text, entity=entity)
    shards: Any = wall.wall
    shards = shards._shards
    joy = next(shard for shard in shards.all if shard.name == "queue:joy")

    class Busy:
        """The stub of an object that gets messages just before it raises its floor."""

        async def call(self, method: Any, *args: Any, **how: Any) -> Any:
            if method is QueueShard.fence:
                wall.runtime.advance(0.001)
                for number in range(3):
                    await joy.stub.call(QueueShard.post, a_post(f"meanwhile {number}", entity="joy"))
            return await joy.stub.call(method, *args, **how)

    known = shards.all
    shards.all = tuple(shard._replace(stub=Busy()) if shard is joy else shard for shard in known)
    page = wall.run(wall.wall.read(limit=2))
    assert [message.text for message in decode_list(page.body)] == ["zen 1", "joy 2"]
    shards.all = known
    again = wall.run(wall.wall.read(limit=2))
    assert [message.text for message in decode_list(again.body)] == ["meanwhile 2", "meanwhile 1"]
    assert again.etag != page.etag, "a poll must not get 304 for a page that lacks what came meanwhile"


def test_an_object_of_another_gateway_is_found() -> None:
    wall = SimulatedWall()
    other = wall.another_gateway()
    assert wall.texts() == other.texts() == []
    asked = wall.post("Why?", entity="zen")
    assert other.texts() == ["Why?"]
    (claimed,) = other.claim_next(entities=("zen",))
    assert claimed.id == asked.id
    assert wall.another_gateway().complete(claimed) is not None


def test_p7_a_clients_own_id_finds_its_message_and_its_first_answer() -> None:
    wall = SimulatedWall()
    first = wall.post("Why?", id="myownid", entity="zen")
    assert wall.post("Why?", id="myownid", entity="zen").repeated
    with pytest.raises(KeyReused):
        wall.post("Why?", id="myownid", entity="joy")
    with pytest.raises(KeyReused):
        wall.post("How?", id="myownid", entity="zen")
    claimed = decode(wall.run(wall.another_gateway().wall.claim(first.id, "bot")).message)
    assert wall.complete(claimed) is not None


def test_p7_a_key_belongs_to_one_message_of_all_objects() -> None:
    wall = SimulatedWall()
    first = wall.post("Why?", key="k", entity="zen")
    again = wall.another_gateway().post("Why?", key="k", entity="zen")
    assert (again.id, again.repeated) == (first.id, True)
    with pytest.raises(KeyReused):
        wall.post("Why?", key="k", entity="joy")
    assert wall.texts() == ["Why?"]


def test_p7_a_clients_own_id_is_known_for_as_long_as_its_message_and_a_day_more() -> None:
    wall = SimulatedWall(retention=1, talk_retention=0)
    wall.post("Mine.", id="myownid", entity="zen", answer=False)
    for _ in range(3):
        wall.post("Later.", entity="zen", answer=False)
    assert wall.texts() == ["Later."]
    assert wall.post("Mine.", id="myownid", entity="zen", answer=False).repeated
    wall.runtime.advance(27 * 3_600)
    wall.post("Another.", id="another", entity="zen", answer=False)
    assert not wall.post("Mine.", id="myownid", entity="joy", answer=False).repeated
    assert wall.texts() == ["Mine.", "Another."]


def test_an_id_that_another_object_has_made_is_taken() -> None:
    wall = SimulatedWall()
    made = wall.post("Why?", entity="zen").id
    with pytest.raises(IdTaken):
        wall.post("Mine", id=made, entity="joy")
    wall.claim_next(entities=("zen",))
    assert wall.message(made).bot_params.status == "processing"


def test_an_unknown_id_is_refused_by_its_field() -> None:
    wall = SimulatedWall()
    wall.post(entity="zen")
    unknown = route_of("queue:zen") + "aaaaaaaa"
    with pytest.raises(UnknownMessage) as refused:
        wall.run(wall.wall.retry(unknown))
    assert refused.value.fields == {"field": "messageId"}
    with pytest.raises(UnknownMessage) as refused:
        wall.post(message_type="AI", reply_to="unknown1")
    assert refused.value.fields == {"field": "replyTo"}
    with pytest.raises(UnknownMessage) as refused:
        wall.run(wall.wall.batch(BatchRequest(action="retry", message_ids=[unknown])))
    assert refused.value.fields == {"field": "messageIds"}


def test_a_claim_takes_the_most_urgent_of_all_objects() -> None:
    wall = SimulatedWall()
    for entity, priority in (("zen", 50), ("joy", 10), (None, 30), ("sea", 1)):
        wall.post(str(priority), entity=entity, priority=priority)
    assert [message.text for message in wall.claim_next(2, ("zen", "joy"))] == ["10", "30"]
    assert [message.text for message in wall.claim_next(5)] == ["1", "50"]


def test_a_woken_claim_takes_the_message_that_it_was_woken_for_and_wakes_no_other() -> None:
    wall = SimulatedWall()
    entities = ("zen", "joy")
    for number in range(3):
        assert wall.claim_next(entities=entities, wait=Wait(f"g/1/{number}", 30_000)) == []
    posted = {}
    for text, entity in (("older", "zen"), ("newer", "joy")):
        wall.runtime.advance(0.001)
        posted[text] = wall.post(text, entity=entity).id
    woken = Wait("g/1/1", 30_000, 1, (posted["newer"],))
    assert [message.text for message in wall.claim_next(entities=entities, wait=woken)] == ["newer"]
    assert [message.text for message in wall.claim_next(entities=entities, wait=Wait("g/1/0", 1))] == ["older"]
    assert wall.run(wall.wall.stats(entities)).waited_for == ["joy", "zen"], "the third one still waits"


def test_a_claim_that_was_woken_by_one_object_waits_at_no_other() -> None:
    wall = SimulatedWall()
    entities = ("zen", "joy")
    assert wall.claim_next(entities=entities, wait=Wait("g/1/0", 30_000)) == []
    posted = wall.post(entity="joy").id
    woken = Wait("g/1/0", 29_000, 1, (posted,))
    assert [message.id for message in wall.claim_next(entities=entities, wait=woken)] == [posted]
    assert wall.run(wall.wall.stats(entities)).waited_for == []


def test_a_talk_is_whole_though_two_objects_have_a_part_of_it() -> None:
    wall = SimulatedWall()
    for text, entity in (("one", "zen"), ("two", None), ("three", "zen")):
        wall.runtime.advance(0.001)
        wall.post(text, entity=entity)
        (claimed,) = wall.claim_next(entities=("zen",))
        wall.runtime.advance(0.001)
        wall.complete(claimed, f"answer {text}")
    wall.runtime.advance(0.001)
    asked = wall.post("four", entity=None).id
    answer = wall.run(wall.wall.claim_next("bot", ("zen",), context=10))
    assert answer.talks is not UNSET
    texts = [decode(turn).text for turn in answer.talks[asked].turns]
    assert texts == ["one", "answer one", "two", "answer two", "three", "answer three"]


def test_a_message_to_anyone_goes_to_the_entity_its_author_talked_with() -> None:
    wall = SimulatedWall()
    wall.post("Hello", entity="joy")
    wall.claim_next(entities=("joy",))
    wall.post("And you?")
    (claimed,) = wall.claim_next(entities=("sea", "zen", "joy"))
    assert claimed.bot_params.assigned_entity == "joy"


def test_changes_go_on_from_a_position_page_by_page() -> None:
    wall = SimulatedWall()
    for number in range(9):
        wall.post(str(number), entity=["zen", "joy", None][number % 3])
    position, changed = wall.all_changes(START, 2)
    assert sorted(message.text for message in changed) == list(map(str, range(9)))
    assert wall.all_changes(position) == (position, [])
    wall.claim_next(1, ("joy",))
    position, changed = wall.another_gateway().all_changes(position)
    assert [message.bot_params.status for message in changed] == ["processing"]


def test_lists_and_figures_are_of_all_objects() -> None:
    wall = SimulatedWall(max_attempts=1)
    for number in range(4):
        wall.post(str(number), entity=["zen", "joy"][number % 2], priority=number)
    assert [decode(one).text for one in wall.run(wall.wall.pending(3))] == ["0", "1", "2"]
    assert [decode(one).text for one in wall.run(wall.wall.pending(3, "joy"))] == ["1", "3"]
    first, second = wall.claim_next(2)
    for message in (first, second):
        wall.runtime.advance(0.001)
        wall.run(wall.wall.fail(message.id, "bot", 1, "no words"))
    stats = wall.run(wall.wall.stats())
    assert (stats.messages, stats.backlog, stats.depth.failed) == (4, 2, 2)
    assert {name: depth.failed for name, depth in stats.entities.items()} == {"joy": 1, "zen": 1}
    assert len(wall.run(wall.wall.listing("failed", 9))) == 2
    assert wall.run(wall.wall.batch(BatchRequest(action="retry", message_ids=[second.id, first.id]))).changed == [
        second.id,
        first.id,
    ]
    changed = wall.run(wall.wall.batch(BatchRequest(action="fail", all=True)))
    assert (len(changed.changed), changed.more) == (4, False)


def test_a_circuit_is_reported_once() -> None:
    wall = SimulatedWall()
    wall.post(entity="zen")
    report = CircuitReport(worker_id="bot", provider="a provider", entities=["zen"], seconds=60, reason="no answer")
    wall.run(wall.wall.report_circuit(report))
    circuits = wall.run(wall.wall.stats()).circuits
    assert circuits
    assert [circuit.provider for circuit in circuits] == ["a provider"]


def test_an_empty_wall_answers() -> None:
    wall = SimulatedWall()
    assert wall.texts() == []
    assert wall.run(wall.wall.stats()).messages == 0
    assert wall.claim_next() == []
    assert wall.run(wall.wall.position()) == START
    assert wall.run(wall.wall.changes(START)).messages == []


def test_other_entities_share_the_object_of_messages_to_anyone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that do not answer here, and those beyond the bound; so nobody can make objects without end."""
    monkeypatch.setattr("saywhatwant.queue.directory.MAX_QUEUES", 2)
    wall = SimulatedWall(entities=("one", "two"))
    for entity in ("stranger", "one", "two"):
        wall.post(entity, entity=entity)
    assert {message.id[:2] for message in wall.read()} == {route_of(name) for name in ("queue:", "queue:one")}
    for entity in ("stranger", "one", "two"):
        assert [message.text for message in wall.claim_next(entities=(entity,))] == [entity]


def test_p6_the_backlog_of_all_objects_has_one_limit() -> None:
    wall = SimulatedWall(backlog_limit=40)
    gateways = [wall, wall.another_gateway()]

    def accepted(entities: list[str | None]) -> int:
        """How many posts are accepted, to one entity after another, through one gateway after the other."""
        for number in itertools.count():
            try:
                gateways[number % 2].post(entity=entities[number % len(entities)])
            except BacklogFull:
                return number
        raise AssertionError

    assert accepted(["zen", "joy", "sea", None]) == 32, "each entity has as much as is left"
    (claimed,) = wall.claim_next(entities=("zen",))
    wall.complete(claimed)
    wall.post("a retry needs no room", key="k", entity="new")
    assert accepted(["new"]) == 4
    assert wall.post("a retry needs no room", key="k", entity="new").repeated


@pytest.mark.parametrize("entity", ["zen", None])
def test_p4_an_answer_stays_with_its_question(entity: str | None) -> None:
    wall = SimulatedWall()
    wall.post("Why?", entity=entity)
    (claimed,) = wall.claim_next(entities=("zen",))
    answer = a_post("Because.", message_type="AI", reply_to=claimed.id, worker_id="bot", attempt=1)
    posted = wall.run(wall.wall.post(answer))
    assert wall.run(wall.wall.complete(claimed.id, "bot", 1)).success
    assert wall.message(claimed.id).bot_params.answered_by == posted.id
    assert posted.id[:2] == claimed.id[:2]
