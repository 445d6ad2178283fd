"""Posts that wait for review, on every topology: none is lost, none is posted twice, and retries get the first answer."""

from collections.abc import Callable, Coroutine
from typing import Any, get_args

import pytest
from rules_wall import RulesWall, a_post

from durable_objects import KeyReused
from saywhatwant.errors import BacklogFull, RefusedByRule, UnknownMessage
from saywhatwant.message import Posted, Ruling, decode, decode_list
from saywhatwant.moderation.object import Moderation
from saywhatwant.queue.config import QueueConfig
from saywhatwant.schemas import BatchRequest
from saywhatwant.topology import Topology, moderation_of, open_wall

on_every_topology = pytest.mark.parametrize("topology", get_args(Topology))
HOUR = 3_600


@on_every_topology
@pytest.mark.parametrize("entity", ["zen", "unknown", None])
def test_an_approved_post_is_the_message_that_it_would_have_been(topology: Topology, entity: str | None) -> None:
    wall = RulesWall(topology)
    posted = wall.hold(entity=entity, context=("Ada: Hello.",), session_id="one")
    assert posted.held
    assert (wall.ids(), wall.waiting()) == ([], [posted.id])
    with pytest.raises(UnknownMessage):
        wall.runtime.run(wall.wall.message(posted.id))
    wall.runtime.advance(HOUR)
    wall.approve(posted.id)
    (message,) = wall.read()
    params = message.bot_params
    assert (message.id, message.text, params.entity, params.session_id) == (posted.id, "Why is space black?", entity, "one")
    assert message.timestamp >= posted.timestamp + HOUR * 1_000, "it is as old as its approval, or readers would miss it (P5)"
    assert decode(wall.runtime.run(wall.wall.message(posted.id))) == message
    claimed = wall.runtime.run(wall.wall.claim(posted.id, "bot", context=5))
    assert dict(claimed.talks or {})[posted.id].context == ["Ada: Hello."]
    assert wall.waiting() == []


@on_every_topology
def test_a_rejected_post_leaves_nothing_on_the_wall(topology: Topology) -> None:
    wall = RulesWall(topology)
    posted = wall.hold(entity="zen")
    wall.reject(posted.id)
    assert wall.ids() == wall.waiting() == []


@on_every_topology
@pytest.mark.parametrize("name", ["id", "key"])
def test_p7_a_held_posts_retry_gets_the_first_answer_whatever_the_rules_are_then(topology: Topology, name: str) -> None:
    wall = RulesWall(topology)
    mine: dict[str, Any] = {"entity": "zen", name: "mypost"}
    first = wall.hold(**mine)

    def again() -> Posted:
        return wall.post(**mine)

    for retried in (again(), wall.hold(**mine)):
        assert (retried.id, retried.timestamp, retried.held, retried.repeated) == (first.id, first.timestamp, True, True)
    wall.approve(first.id)
    assert again().id == first.id
    assert wall.ids() == [first.id]
    with pytest.raises(KeyReused):
        wall.post("Another.", **mine)


@on_every_topology
@pytest.mark.parametrize("name", ["id", "key"])
def test_p7_a_posts_retry_gets_the_first_answer_though_a_rule_holds_or_refuses_it_now(topology: Topology, name: str) -> None:
    wall = RulesWall(topology)
    mine: dict[str, Any] = {"entity": "zen", name: "mypost"}
    first = wall.post(**mine)
    held = wall.hold(**mine)
    refused = wall.post(**mine, ruling=Ruling("refuse"))
    assert {(retried.id, retried.held, retried.repeated) for retried in (held, refused)} == {(first.id, False, True)}
    assert wall.waiting() == []
    assert wall.ids() == [first.id]


@on_every_topology
@pytest.mark.parametrize("name", ["id", "key"])
def test_p7_a_refused_post_leaves_its_key_free(topology: Topology, name: str) -> None:
    wall = RulesWall(topology)
    mine: dict[str, Any] = {"entity": "zen", name: "mypost"}
    with pytest.raises(RefusedByRule):
        wall.post(**mine, ruling=Ruling("refuse"))
    assert not wall.post(**mine).repeated


@on_every_topology
def test_p7_the_id_of_a_rejected_post_is_free_a_day_later(topology: Topology) -> None:
    wall = RulesWall(topology)
    first = wall.hold(id="myownid", entity="zen")
    wall.reject(first.id)
    with pytest.raises(KeyReused):
        wall.post("Another.", id="myownid", entity="joy")
    wall.wait_days(2)
    assert not wall.post("Another.", id="myownid", entity="joy").repeated
    assert "myownid" in wall.ids()


@pytest.mark.parametrize("topology", ["single", "hybrid"])
def test_an_approved_post_whose_id_was_taken_meanwhile_gets_another(topology: Topology) -> None:
    wall = RulesWall(topology)
    wall.hold("The first.", id="myownid")
    wall.wait_days(2)
    wall.post("The second.", id="myownid")
    wall.approve("myownid")
    assert {"The first.", "The second."} <= {message.text for message in wall.read()}
    assert len(set(wall.ids())) == len(wall.ids())


@on_every_topology
@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_p6_a_post_with_the_id_of_one_that_waits_replaces_nothing(topology: Topology, decision: str) -> None:
    wall = RulesWall(topology)
    wall.hold("The first.", id="myownid")
    wall.wait_days(2)
    wall.hold("The second.", id="myownid")
    held = wall.call(Moderation.overview).held
    assert [post.new.text for post in held] == ["The first.", "The second."]
    assert held[0].id == "myownid" != held[1].id
    for post in held:
        getattr(wall, decision)(post.id)
    overview = wall.call(Moderation.overview)
    assert (overview.held, overview.held_count) == ([], 0)
    posted = {message.text: message.id for message in wall.read()}
    both = {post.new.text: post.id for post in held}
    if decision == "approve":
        assert posted.items() >= both.items()
        for message_id in both.values():
            assert decode(wall.runtime.run(wall.wall.message(message_id))).id == message_id
    else:
        assert posted.keys().isdisjoint(both)


@pytest.mark.parametrize("message_id", [None, "myownid"])
def test_an_approved_post_is_found_by_its_id_though_its_entity_is_served_no_more(message_id: str | None) -> None:
    """Its id shows the object that took the post, or is registered for it; new posts to the entity go to another one."""
    wall = RulesWall("per-entity")
    posted = wall.hold(entity="zen", id=message_id)
    wall.wall = open_wall(wall.runtime, QueueConfig(entities=("zen", "joy")), "per-entity")
    gateway: Any = wall.wall
    gateway._shards._served = frozenset({"joy"})
    wall.approve(posted.id)
    other = open_wall(wall.runtime, QueueConfig(entities=("zen", "joy")), "per-entity")
    assert decode(wall.runtime.run(other.message(posted.id))).text == "Why is space black?"


@on_every_topology
def test_p6_an_approved_post_is_taken_though_the_backlog_is_full(topology: Topology) -> None:
    wall = RulesWall(topology, backlog_limit=1)
    posted = wall.hold(entity="zen")
    wall.post(entity="zen")
    with pytest.raises(BacklogFull):
        wall.post(entity="zen")
    wall.approve(posted.id)
    assert posted.id in wall.ids()


# -- What else operators do


@on_every_topology
def test_what_operators_do_to_the_queue_is_in_the_audit_log(topology: Topology) -> None:
    wall = RulesWall(topology)
    ids = [wall.post(entity=entity).id for entity in ("zen", "joy")]
    run, batch = wall.runtime.run, wall.wall.batch
    run(batch(BatchRequest(action="fail", message_ids=ids, reason="a move"), "olga"))
    run(wall.wall.retry(ids[0], "peter"))
    run(batch(BatchRequest(action="discard", all=True), "olga"))
    run(batch(BatchRequest(action="discard", all=True), "olga"))
    log = [(entry.by, entry.action, entry.reason) for entry in wall.call(Moderation.audit, 10)]
    assert set(log) == {("olga", "fail", "a move"), ("peter", "retry", ""), ("olga", "discard", "")}
    about = " ".join(entry.about for entry in wall.call(Moderation.audit, 10) if entry.action == "fail").split()
    assert sorted(about) == sorted(ids)
    discarded = [entry.about for entry in wall.call(Moderation.audit, 10) if entry.action == "discard"]
    assert discarded == [ids[1]], "what changed nothing is not in the log"


# -- Killed in between


class Killed:
    """A wall whose process dies once, when it has made a number of commits."""

    def __init__(self, topology: Topology, kill_at: int, *, after_commit: bool) -> None:
        self.wall = RulesWall(topology, autocommit=False)
        self.topology: Topology = topology
        self._kill_at = kill_at
        self._after_commit = after_commit
        self.commits = 0

    def commit(self) -> bool:
        """Make a commit, or die; whether it lived."""
        self.commits += 1
        if self.commits == self._kill_at:
            self.wall.runtime.begin_commit()
            self.wall.runtime.crash(after_commit=self._after_commit)
            self.wall.wall = open_wall(self.wall.runtime, QueueConfig(entities=("zen", "joy")), self.topology)
            self.wall.moderation = moderation_of(self.wall.runtime)
            return False
        self.wall.runtime.commit()
        return True

    def until_answered(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What the call returns; it is repeated if the process dies, as its client would."""
        task = self.wall.runtime.start(call())
        while not task.done:
            if self.wall.runtime.commits.idle:
                self.wall.runtime.advance(1)
            elif not self.commit():
                task = self.wall.runtime.start(call())
        return task.result()

    def rest(self) -> None:
        """Let all that is on its way arrive."""
        for _ in range(10):
            while not self.wall.runtime.commits.idle:
                self.commit()
            self.wall.runtime.advance(5)


def a_review(topology: Topology, kill_at: int, decision: str, *, after_commit: bool) -> int:
    """Hold a post, decide, and check what is there; returns how many commits that took."""
    killed = Killed(topology, kill_at, after_commit=after_commit)
    wall = killed.wall
    new = a_post(entity="zen", ruling=Ruling("hold", "space"))
    posted = killed.until_answered(lambda: wall.wall.post(new, "mykey"))
    assert posted.held
    killed.rest()

    async def decide() -> None:
        held = await wall.moderation.call(Moderation.held, posted.id)
        if held is None:
            return
        place = await wall.wall.place_of(held)
        method = Moderation.approve if decision == "approve" else Moderation.reject
        await wall.moderation.call(method, posted.id, place, "olga", "")

    killed.until_answered(decide)
    killed.rest()
    again = killed.until_answered(lambda: wall.wall.post(new, "mykey"))
    assert (again.id, again.held) == (posted.id, True)
    killed.rest()
    messages = killed.until_answered(wall.wall.read)
    assert len(decode_list(messages.body)) == (decision == "approve")
    overview = killed.until_answered(lambda: wall.moderation.call(Moderation.overview))
    assert overview.held_count == 0
    log = killed.until_answered(lambda: wall.moderation.call(Moderation.audit, 10))
    assert [entry.action for entry in log] == [decision]
    assert list(wall.runtime.disk.senders()) == []
    return killed.commits


@on_every_topology
@pytest.mark.parametrize("after_commit", [False, True], ids=["the commit is lost", "the commit is kept"])
@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_p7_killed_at_any_commit_a_held_post_becomes_one_message_or_none(
    topology: Topology, decision: str, *, after_commit: bool
) -> None:
    commits = a_review(topology, 0, decision, after_commit=after_commit)
    assert commits > 3
    for kill_at in range(1, commits + 1):
        a_review(topology, kill_at, decision, after_commit=after_commit)
