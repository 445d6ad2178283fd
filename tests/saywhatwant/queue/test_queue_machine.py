"""MessageQueue under any order of calls, commits, crashes and clocks: promises P1 to P7 as a state machine."""

from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import UNSET, Raw, json
from queue_lists import judge_lists, published
from queue_model import Promises
from queue_states import Moment, Ticket, short_config
from small_archive import small_archive

from durable_objects import CommitFailed, Refusal
from durable_objects.simulated import Crashed, SimulatedRuntime, Task
from listening import listen
from profiles import examples
from saywhatwant.message import Message, NewMessage, decode, decode_list
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.lease import TOLERATED_STEP_MS
from saywhatwant.queue.read_cache import Page
from saywhatwant.queue.stored import split
from saywhatwant.schemas import BatchRequest, ListState, Reply
from saywhatwant.topology import SingleWall

Judge = Callable[[Moment, Any], None]

WALL = "Queue/wall"
ENTITIES = st.sampled_from(["fear", "joy", None])
WORKERS = st.sampled_from(["w1", "w2"])
PICK = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 5, 8])
"""Counted from the newest, which is where things happen."""
DAY_MS = 24 * 60 * 60 * 1_000


class Call(NamedTuple):
    """A call whose answer is awaited, and what judges it."""

    moment: Moment
    task: Task[Any]
    judge: Judge
    post: tuple[NewMessage, str | None] | None


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bounds = ExitStack()

    @initialize(
        max_attempts=st.integers(2, 3),
        retention=st.integers(3, 5),
        talk_retention=st.integers(0, 4),
        seed=st.integers(0, 99),
        in_memory=st.sampled_from([1, 2, None]),
    )
    def begin(self, max_attempts: int, retention: int, talk_retention: int, seed: int, in_memory: int | None) -> None:
        if in_memory is not None:
            self.bounds.enter_context(small_archive(in_memory, in_memory))
        self.config = short_config(max_attempts, retention, talk_retention)
        self.runtime = SimulatedRuntime(seed=seed, autocommit=False)
        self.highest = self.runtime.now_ms
        self.queue = self.runtime.namespace("Queue", MessageQueue, self.config).get("wall")
        self.promises = self.make_promises()
        self.awaited: list[Call] = []
        self.calls = 0
        self.texts = 0
        self.patient = False
        self.mirror: dict[str, bytes] = {}
        self.head = 0
        self.event_seqs: list[int] = []
        self.page_seqs: list[int] = []
        self.paged: list[Message] = []
        self.is_paging = False
        self.listener = listen(self.queue)

    def make_promises(self) -> Promises:
        return Promises(self.config)

    # -- How calls are made and judged

    def start(
        self,
        call: Coroutine[Any, Any, Any],
        judge: Judge,
        post: tuple[NewMessage, str | None] | None = None,
    ) -> None:
        self.calls += 1
        self.awaited.append(Call(Moment(self.calls, self.runtime.now_ms), self.runtime.start(call), judge, post))
        if not self.patient:
            self.runtime.commit()
            self.runtime.commit()
        self.judge_answers()

    def judge_answers(self) -> None:
        while self.awaited and self.awaited[0].task.done:
            call = self.awaited.pop(0)
            try:
                outcome: Any = call.task.result()
            except Refusal as refusal:
                outcome = refusal
            except (CommitFailed, Crashed):
                self.is_paging = False
                continue
            call.judge(call.moment, outcome)
        assert not any(call.task.done for call in self.awaited), "answers come in the order of calls"

    def take_events(self) -> None:
        for event in self.listener.take():
            message = json.decode(event).get("message")
            if message is not None:
                self.mirror[message["id"]] = event[len(b'{"type":"message","message":') : -1]
                self.event_seqs.append(message["seq"])

    def durable(self) -> list[Message]:
        return [decode(encoded) for encoded in self.durable_bytes()]

    def durable_bytes(self) -> list[bytes]:
        return [split(value)[0] for _, value in self.runtime.disk.list(WALL, "message/", "", 1_000)]

    def moment(self) -> Moment:
        return Moment(self.calls + 1, self.runtime.now_ms)

    def tick(self) -> None:
        now = self.runtime.now_ms
        self.promises.ticks.append(Moment(self.calls, now))
        if now < self.highest - TOLERATED_STEP_MS:
            self.promises.steps_back.append(self.calls)
            self.highest = now
        self.highest = max(self.highest, now)

    def some_message(self, pick: int) -> str:
        known = list(self.promises.known)
        return known[-1 - pick % len(known)]

    def some_ticket(self, pick: int) -> Ticket:
        return self.promises.tickets[-1 - pick % len(self.promises.tickets)]

    def written(self, **fields: Any) -> NewMessage:
        self.texts += 1
        return NewMessage(**({"text": f"text {self.texts}", "username": "Human", "color": "169080199"} | fields))

    def post(self, new: NewMessage, key: str | None = None) -> None:
        self.start(SingleWall(self.queue).post(new, key), partial(self.promises.judge_post, new, key), (new, key))

    def complete(self, ticket: Ticket, *, fenced: bool, with_reply: bool) -> None:
        known = self.promises.known[ticket.message_id]
        reply = Reply(self.written().text, "AI") if with_reply else None
        as_message = (
            NewMessage(
                text=reply.text,
                username="AI",
                color=reply.color,
                message_type="AI",
                reply_to=known.id,
                entity=known.new.entity,
                priority=known.new.priority,
            )
            if reply
            else None
        )
        worker, attempt = (ticket.worker, ticket.attempt) if fenced else (None, None)
        self.start(
            self.queue.call(MessageQueue.complete, ticket.message_id, worker, attempt, reply),
            partial(self.promises.judge_complete, ticket, as_message, fenced=fenced),
            (as_message, None) if as_message else None,
        )

    # -- The calls of people

    @rule(
        who=st.sampled_from(["Ann", "Bob"]),
        entity=ENTITIES,
        priority=st.integers(0, 2),
        context=st.sampled_from([None, None, ("I am Eve.",)]),
        key=st.sampled_from([None, None, "k1", "k2", "k3"]),
        again=st.booleans(),
    )
    def someone_posts(
        self, who: str, entity: str | None, priority: int, context: tuple[str, ...] | None, key: str | None, *, again: bool
    ) -> None:
        new = self.written(username=who, entity=entity, priority=priority, context=context)
        if again and key in self.promises.keys:
            new = self.promises.keys[key][0]
        self.post(new, key)

    @rule()
    def someone_posts_and_wants_no_answer(self) -> None:
        self.post(self.written(answer=False))

    @rule(limit=st.integers(1, 4))
    @precondition(lambda self: not self.is_paging)
    def a_reader_reads_a_page(self, limit: int) -> None:
        self.is_paging = True
        since = self.paged[-1].timestamp if self.paged else 0
        self.start(self.queue.call(MessageQueue.read, since, limit, newest_first=False), self.judge_page)

    def judge_page(self, _: Moment, page: Page) -> None:
        self.is_paging = False
        self.page_seqs.append(page.seq)
        assert page.seq <= self.runtime.disk.head(WALL).seq, "P2: a reader saw what a crash could take back"
        self.paged += decode_list(page.body)

    @rule()
    def someone_looks_at_every_list(self) -> None:
        seen: list[Any] = []
        self.start(
            self.queue.call(MessageQueue.read, newest_first=False),
            lambda _, page: seen.append(json.decode(page.body, type=list[Raw])),
        )
        for state in get_args(ListState):
            self.start(self.queue.call(MessageQueue.listing, state, 100), lambda _, found: seen.append(found))
        self.start(self.queue.call(MessageQueue.overview), lambda _, found: judge_lists(self.config, seen, found))

    # -- The calls of bots and operators

    @rule()
    def an_ai_posts_unasked(self) -> None:
        self.post(self.written(message_type="AI"))

    @rule(pick=PICK, worker=WORKERS)
    @precondition(lambda self: self.promises.known)
    def a_bot_claims(self, pick: int, worker: str) -> None:
        message_id = self.some_message(pick)
        call = self.queue.call(MessageQueue.claim, message_id, worker)
        self.start(call, partial(self.promises.judge_claim, message_id, worker))

    @rule(
        worker=WORKERS,
        entities=st.sampled_from([None, ("fear",), ("fear", "joy"), ("none",)]),
        limit=st.integers(1, 3),
        context=st.sampled_from([0, 3, 100]),
    )
    def a_bot_claims_the_next(self, worker: str, entities: tuple[str, ...] | None, limit: int, context: int) -> None:
        call = self.queue.call(MessageQueue.claim_next, worker, entities, limit, context=context)
        self.start(call, partial(self.promises.judge_claim_next, worker, entities, limit))

    @rule(pick=PICK)
    @precondition(lambda self: self.promises.tickets)
    def a_bot_is_replaced_by_its_namesake(self, pick: int) -> None:
        ticket = self.some_ticket(pick)
        self.time_passes(1_000)
        self.a_bot_claims(list(self.promises.known)[::-1].index(ticket.message_id), ticket.worker)

    @rule(pick=PICK)
    @precondition(lambda self: self.promises.tickets)
    def a_bot_extends(self, pick: int) -> None:
        ticket = self.some_ticket(pick)
        self.start(self.queue.call(MessageQueue.extend, *ticket), partial(self.promises.judge_extend, ticket))

    @rule(pick=PICK, fenced=st.booleans(), with_reply=st.booleans())
    @precondition(lambda self: self.promises.tickets)
    def a_bot_completes(self, pick: int, *, fenced: bool, with_reply: bool) -> None:
        self.complete(self.some_ticket(pick), fenced=fenced, with_reply=with_reply)

    @rule(pick=PICK, fenced=st.booleans())
    @precondition(lambda self: self.promises.tickets)
    def a_bot_replies_in_two_steps(self, pick: int, *, fenced: bool) -> None:
        ticket = self.some_ticket(pick)
        fence: dict[str, Any] = {"worker_id": ticket.worker, "attempt": ticket.attempt} if fenced else {}
        self.post(self.written(message_type="AI", reply_to=ticket.message_id, **fence))

    @rule(pick=PICK)
    @precondition(lambda self: self.promises.known)
    def a_bot_replies_to_anything(self, pick: int) -> None:
        self.post(self.written(message_type="AI", reply_to=self.some_message(pick)))

    @rule(pick=PICK, retry=st.booleans(), reason=st.sampled_from(["the model is down", "no words"]))
    @precondition(lambda self: self.promises.tickets)
    def a_bot_fails(self, pick: int, reason: str, *, retry: bool) -> None:
        ticket = self.some_ticket(pick)
        call = self.queue.call(MessageQueue.fail, *ticket, reason, retry=retry)
        self.start(call, partial(self.promises.judge_fail, ticket, reason, retry=retry))

    @rule(pick=PICK)
    @precondition(lambda self: self.promises.tickets)
    def a_bot_is_stopped_and_releases(self, pick: int) -> None:
        ticket = self.some_ticket(pick)
        self.start(self.queue.call(MessageQueue.release, *ticket), partial(self.promises.judge_release, ticket))

    @rule(pick=PICK)
    @precondition(lambda self: self.promises.known)
    def an_operator_retries(self, pick: int) -> None:
        failed = [known.id for known in self.promises.known.values() if known.state == "failed"]
        message_id = failed[pick % len(failed)] if failed else self.some_message(pick)
        self.start(self.queue.call(MessageQueue.retry, message_id), partial(self.promises.judge_retry, message_id))

    @rule(pick=PICK, action=st.sampled_from(["fail", "discard", "discard"]))
    @precondition(lambda self: self.promises.known)
    def an_operator_fails_or_discards(self, pick: int, action: Literal["fail", "discard"]) -> None:
        fitting = [known.id for known in self.promises.known.values() if known.finished == (action == "discard")]
        message_id = fitting[-1 - pick % len(fitting)] if fitting else self.some_message(pick)
        if action == "discard":
            self.promises.discarding.add(message_id)
        request = BatchRequest(action=action, message_ids=[message_id])
        self.start(self.queue.call(MessageQueue.batch, request), partial(self.promises.judge_batch, action, message_id))

    # -- Clock, disk and crashes

    @rule(milliseconds=st.sampled_from([1, 600, 1_000, 4_000]))
    def time_passes(self, milliseconds: int) -> None:
        self.runtime.advance(milliseconds / 1_000)
        self.tick()

    @rule(milliseconds=st.sampled_from([-DAY_MS, -3_000, -500, -1, DAY_MS]))
    def the_clock_steps(self, milliseconds: int) -> None:
        self.runtime.now_ms += milliseconds
        self.tick()

    @rule()
    def commits_become_slow_or_quick(self) -> None:
        self.patient = not self.patient

    @rule(how=st.sampled_from(["begin_commit", "commit", "fail", "evict_idle"]))
    def the_disk_works(self, how: str) -> None:
        getattr(self.runtime, how)()
        self.judge_answers()

    @rule(written=st.booleans())
    def the_process_dies(self, *, written: bool) -> None:
        """Before the commit in flight is durable, or after that and before anybody was answered."""
        if written:
            self.runtime.begin_commit()
        self.take_events()
        self.runtime.crash(after_commit=written)
        if written:
            # What changed may have done so in any call since the last commit, before any step of the clock.
            unanswered = [call.post for call in self.awaited if call.post]
            self.promises.learn(self.durable(), unanswered, Moment(0, self.runtime.now_ms))
            self.mirror = {decode(encoded).id: encoded for encoded in self.durable_bytes()}
        self.listener = listen(self.queue)
        self.judge_answers()

    # -- What must hold

    @invariant()
    def p1_p2_p4_p6_what_is_durable_is_what_was_promised(self) -> None:
        self.take_events()
        stored = self.durable_bytes()
        before = {known.id: known.seq for known in self.promises.known.values()}
        self.promises.judge_durable([decode(encoded) for encoded in stored], self.moment())
        head = self.runtime.disk.head(WALL).seq
        for message, encoded in ((decode(encoded), encoded) for encoded in stored):
            assert published(self.mirror[message.id], encoded), "P2: subscribers got what is durable, all of it and no more"
            assert message.seq == before[message.id] or self.head < message.seq <= head, "P5: a change has its commit's number"
        self.head = head

    @invariant()
    def contexts_are_there_exactly_while_their_messages_are_work(self) -> None:
        if hasattr(self, "runtime"):
            stored = {int(key.rpartition("/")[2]) for key, _ in self.runtime.disk.list(WALL, "context/", "", 1_000)}
            assert stored == {m.timestamp for m in self.durable() if m.bot_params.has_context is not UNSET}
            assert stored <= {m.timestamp for m in self.durable() if m.bot_params.status in {"pending", "processing"}}

    @invariant()
    def p5_commits_and_pages_go_forward(self) -> None:
        self.take_events()
        assert self.event_seqs == sorted(self.event_seqs)
        assert self.page_seqs == sorted(self.page_seqs)
        stamps = [message.timestamp for message in self.paged]
        assert stamps == sorted(set(stamps)), "P5: no message is read twice"

    def teardown(self) -> None:
        with self.bounds:
            if hasattr(self, "runtime"):
                self.finish()

    def finish(self) -> None:
        """P4, liveness: one good bot and enough time finish everything; P5: the reader has skipped nothing."""
        self.patient = False
        self.the_disk_works("commit")
        self.the_disk_works("commit")
        for _ in range(2 * (self.config.max_attempts + 1)):
            before = len(self.promises.tickets)
            self.a_bot_claims_the_next("perfect", None, 3, 100)
            for ticket in self.promises.tickets[before:]:
                self.complete(ticket, fenced=True, with_reply=True)
            self.time_passes(4_000)
            self.the_disk_works("commit")
            self.p1_p2_p4_p6_what_is_durable_is_what_was_promised()
        for known in self.promises.known.values():
            assert known.pruned or known.finished, f"P4: silence after {known.new.text!r}"
            if known.new.message_type == "human" and known.new.answer and known.state == "complete":
                assert known.answer or known.silent, "P4: one answer"
        for _ in range(20):
            self.a_reader_reads_a_page(4)
        self.p5_commits_and_pages_go_forward()
        assert {message.id for message in self.durable()} <= {message.id for message in self.paged}, "P5: nothing skipped"


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=examples(200),
    stateful_step_count=60,
    report_multiple_bugs=False,
)
