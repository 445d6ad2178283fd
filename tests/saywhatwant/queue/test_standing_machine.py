"""Bots on sockets under any order of calls, commits, crashes and ends of sockets and gateways: P2, P3 and P4.

Each walk takes random steps from a seed, which a failure names. (Hypothesis leaves out most kinds of steps in each of its runs,
and here nearly all of them are needed before anything happens.)
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from msgspec import UNSET, json
from msgspec.structs import replace
from queue_states import short_config

from durable_objects import CommitFailed, Refusal
from durable_objects.simulated import Crashed, SimulatedRuntime, Task
from listening import listen
from profiles import examples
from saywhatwant.message import Message, NewMessage, decode
from saywhatwant.queue import MessageQueue, events
from saywhatwant.queue.lease import is_claimable
from saywhatwant.queue.standing import Hold, Stand
from saywhatwant.queue.stored import split
from saywhatwant.schemas import CompleteResponse, Reply

WALL = "Queue/wall"
HANDS: tuple[dict[str, int] | None, ...] = (None, {"fear": 1}, {"fear": 2, "joy": 1}, {"joy": 3})
STEPS = 300


@dataclass
class Bot:
    """A bot with its socket, if it has one, and what it was given and has not given back."""

    worker: str
    socket: str | None = None
    last_socket: str | None = None
    holds: dict[str, int] = field(default_factory=dict)


class Walk:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.config = replace(short_config(2 + seed % 2, 10, 0), socket_lease_ms=2_000)
        self.runtime = SimulatedRuntime(seed=seed, autocommit=False)
        self.queue = self.runtime.namespace("Queue", MessageQueue, self.config).get("wall")
        self.bots = [Bot("w1"), Bot("w2"), Bot("w1")]  # names get reused
        self.life = 1
        self.sockets = 0
        self.patient = False
        self.running: list[tuple[Task[Any], Callable[[Any], None]]] = []
        self.most: Counter[str] = Counter()
        """The messages that each socket may hold at most, with those that it went on with."""
        self.holders: dict[tuple[str, int], str] = {}
        self.answered: dict[str, str] = {}
        self.listener = listen(self.queue)

    # -- Calls

    def start(self, call: Coroutine[Any, Any, Any], judge: Callable[[Any], None] = lambda _: None) -> None:
        self.running.append((self.runtime.start(call), judge))
        if not self.patient:
            self.runtime.commit()
            self.runtime.commit()
        self.settle()

    def settle(self) -> None:
        done = [(task, judge) for task, judge in self.running if task.done]
        self.running = [(task, judge) for task, judge in self.running if not task.done]
        for task, judge in done:
            try:
                outcome = task.result()
            except (Refusal, CommitFailed, Crashed):
                continue
            judge(outcome)
        self.take_events()

    def take_events(self) -> None:
        """What the gateways get: hand-overs, which they pass on to those who are still there."""
        durable = {message.id: message for message in self.durable()}
        for event in self.listener.take():
            message = events.parse(event).message
            if message is None:
                continue
            assert message.id in durable, "P2: an event shows what a crash could take back"
            for bot in self.bots:
                if bot.socket is not None and bot.socket == message.bot_params.socket:
                    bot.holds[message.id] = message.bot_params.attempt

    def durable(self) -> list[Message]:
        return [decode(split(value)[0]) for _, value in self.runtime.disk.list(WALL, "message/", "", 1_000)]

    def stands(self) -> list[Stand]:
        rows = [json.decode(row)["stand"] for _, row in self.runtime.disk.list(WALL, "standing/", "", 1_000)]
        return [Stand(**row) for row in rows]

    def hold(self) -> tuple[Bot, str, int] | None:
        """One of those that bots have."""
        held = [(bot, message_id, attempt) for bot in self.bots for message_id, attempt in bot.holds.items()]
        return self.random.choice(held) if held else None

    def walk(self) -> None:
        some = self.random.choice
        steps: list[tuple[int, Callable[[], None]]] = [
            (3, lambda: self.someone_posts(some(["fear", "joy", None]), some([0, 1, 2]))),
            (3, lambda: self.a_bot_stands(some(self.bots), some([0, 1, 2, 3]), some(HANDS), forgets=some([True, False]))),
            (3, lambda: self.a_socket_ends(some(self.bots), give_back=some([True, False]))),
            (1, self.the_gateway_dies_and_starts_again),
            (5, self.a_bot_completes),
            (3, lambda: self.a_bot_does_something_else(some(["fail", "release", "extend", "forget"]))),
            (2, lambda: self.a_poller_claims(some([1, 2]))),
            (2, self.a_gateway_asks_for_a_claim),
            (3, lambda: self.time_passes(some([1, 600, 1_000, 4_000]))),
            (2, self.commits_become_slow_or_quick),
            (3, lambda: self.the_disk_works(some(["begin_commit", "commit", "fail", "evict_idle"]))),
            (1, lambda: self.the_server_dies(written=some([True, False]))),
        ]
        weights, calls = zip(*steps, strict=True)
        for call in self.random.choices(calls, weights, k=STEPS):
            call()
            self.judge()
        self.finish()

    # -- People and bots

    def someone_posts(self, entity: str | None, priority: int) -> None:
        new = NewMessage(text="Why?", username="Ann", color="169080199", entity=entity, priority=priority)
        self.start(self.queue.call(MessageQueue.post, new))

    def a_bot_stands(self, bot: Bot, hands: int, entities: dict[str, int] | None, *, forgets: bool) -> None:
        """At a new socket if it has none, else with other hands; after a crash of its own it knows nothing."""
        resumes: str | None = None
        holds: tuple[Hold, ...] = ()
        if bot.socket is None:
            self.sockets += 1
            resumes, bot.socket = bot.last_socket, f"s{self.sockets}"
            if forgets:
                resumes, bot.holds = None, {}
            holds = tuple(Hold(*hold) for hold in bot.holds.items())
            bot.last_socket, bot.holds = bot.socket, {}
        self.most[bot.socket] = max(self.most[bot.socket], hands + len(holds))
        stand = Stand(bot.socket, "gate", self.life, bot.worker, hands, entities)
        socket = bot.socket

        def learn(found: list[Hold]) -> None:
            if bot.socket == socket:
                bot.holds |= {hold.message_id: hold.attempt for hold in found}

        self.start(self.queue.call(MessageQueue.stand, stand, holds, resumes), learn)

    def a_socket_ends(self, bot: Bot, *, give_back: bool) -> None:
        if bot.socket is not None:
            self.start(self.queue.call(MessageQueue.leave, bot.socket, give_back=give_back))
            bot.socket = None

    def the_gateway_dies_and_starts_again(self) -> None:
        self.life += 1
        for bot in self.bots:
            bot.socket = None
        self.listener = listen(self.queue)

    def a_bot_completes(self) -> None:
        if (found := self.hold()) is not None:
            bot, message_id, attempt = found
            call = self.queue.call(MessageQueue.complete, message_id, bot.worker, attempt, Reply("Because."))
            del bot.holds[message_id]
            self.start(call, lambda done: self.judge_complete(message_id, done))

    def judge_complete(self, message_id: str, done: CompleteResponse) -> None:
        assert done.id is not None
        assert self.answered.setdefault(message_id, done.id) == done.id, "P4: one answer"

    def a_bot_does_something_else(self, how: str) -> None:
        if (found := self.hold()) is None:
            return
        bot, message_id, attempt = found
        fence = (message_id, bot.worker, attempt)
        if how == "extend":
            self.start(self.queue.call(MessageQueue.extend, *fence))
            return
        del bot.holds[message_id]
        if how == "fail":
            self.start(self.queue.call(MessageQueue.fail, *fence, "no words"))
        elif how == "release":
            self.start(self.queue.call(MessageQueue.release, *fence))

    def a_poller_claims(self, limit: int) -> None:
        poller = self.bots[2]
        call = self.queue.call(MessageQueue.claim_next, poller.worker, None, limit)

        def learn(found: Any) -> None:
            messages = map(decode, found.messages)
            poller.holds |= {message.id: message.bot_params.attempt for message in messages}

        self.start(call, learn)

    def a_gateway_asks_for_a_claim(self) -> None:
        if (found := self.hold()) is not None:
            self.start(self.queue.call(MessageQueue.held, found[1], found[2], 5))

    # -- Clock, disk and crashes

    def time_passes(self, milliseconds: int) -> None:
        self.runtime.advance(milliseconds / 1_000)
        self.settle()

    def commits_become_slow_or_quick(self) -> None:
        self.patient = not self.patient

    def the_disk_works(self, how: str) -> None:
        getattr(self.runtime, how)()
        self.settle()

    def the_server_dies(self, *, written: bool) -> None:
        """The gateway with it, so that nobody was told of what was in flight."""
        if written:
            self.runtime.begin_commit()
        self.runtime.crash(after_commit=written)
        self.settle()
        self.the_gateway_dies_and_starts_again()

    # -- What must hold

    def judge(self) -> None:
        durable = self.durable()
        self.judge_holders_and_answers(durable)
        self.judge_hands(durable)

    def judge_holders_and_answers(self, durable: list[Message]) -> None:
        replies = Counter(message.reply_to for message in durable if message.reply_to is not None)
        assert set(replies.values()) <= {1}, "P4: one answer"
        for message in durable:
            params = message.bot_params
            if params.status == "processing":
                holder = self.holders.setdefault((message.id, params.attempt), params.claimed_by or "")
                assert holder == params.claimed_by, "P3: an attempt has one holder"
            else:
                assert params.socket is UNSET
            if message.id in self.answered:
                assert (params.status, params.answered_by) == ("complete", self.answered[message.id]), "P1"

    def judge_hands(self, durable: list[Message]) -> None:
        """Nothing waits while a hand is free for it, and nobody holds more than it has hands."""
        held = Counter(message.bot_params.socket for message in durable)
        for stand in self.stands():
            assert held[stand.socket] <= self.most[stand.socket]
            of_bot = [message.bot_params for message in durable if message.bot_params.socket == stand.socket]
            counts = Counter(params.entity or params.assigned_entity for params in of_bot)
            if held[stand.socket] >= stand.hands:
                continue
            free = None if stand.entities is None else {name for name, n in stand.entities.items() if counts[name] < n}
            for message in filter(is_claimable, durable):
                if message.message_type == "human":
                    entity = message.bot_params.entity
                    assert free is not None, f"{message.id} waits while {stand.socket} has a hand free"
                    assert entity not in free, f"{message.id} waits while {stand.socket} has a hand free"
                    assert entity is not None or not free

    def finish(self) -> None:
        """P4, liveness: one good bot on a socket and enough time finish everything."""
        self.patient = False
        self.the_disk_works("commit")
        self.the_disk_works("commit")
        for bot in self.bots:
            bot.holds.clear()
        self.the_gateway_dies_and_starts_again()
        self.bots.append(Bot("perfect"))
        for _ in range(4 * (self.config.max_attempts + 1)):
            self.a_bot_stands(self.bots[-1], 3, None, forgets=False)
            while self.bots[-1].holds:
                self.a_bot_completes()
            self.time_passes(4_000)
            self.the_disk_works("commit")
            self.judge()
        for message in self.durable():
            assert message.bot_params.status in {"complete", "failed"}, "P4: silence"


@pytest.mark.parametrize("seed", range(examples(40)))
def test_p2_p3_p4_whatever_happens(seed: int) -> None:
    Walk(seed).walk()
