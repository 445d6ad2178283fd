"""Moderation: the object with the operator's rules, the posts that wait for review, the reports, and the audit log.

A wall has one. Servers keep the rules in memory and follow its events (``worker.moderator``), so no post asks it. A post that
has to wait for review comes from the object that would have made its message, in the commit that gives its sender the answer.
An approved one goes back to such an object, in the commit that ends the review. Both are sent, so each is taken once, whatever
is killed in between (P7).
"""

from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

import durable_objects
from durable_objects import Context, DurableObject, EventsLost, ObjectId, Replay
from durable_objects.limits import MAX_LIST_PAGE
from saywhatwant.errors import NotHeld, ReviewFull, RulesFull, UnknownMessage, UnknownRule, WrongState
from saywhatwant.limits import MAX_BANS, MAX_DUE_PER_CALL, MAX_FILTERS, MAX_HELD, MAX_REVIEW
from saywhatwant.message import random_id
from saywhatwant.moderation.audit import AuditEntry, AuditLog
from saywhatwant.moderation.held import Decision, HeldPost, HeldPosts, TakesReviewed
from saywhatwant.moderation.phrases import words_of
from saywhatwant.moderation.reports import Reported, Reports
from saywhatwant.moderation.rules import Ban, Filter, FilterAction, Rules, Subject

MODERATION: Final = ObjectId("Moderation", "moderation")
"""Where it is."""

RULES: Final = b'{"type":"rules"}'
"""The event of a change of the rules."""
REVIEW: Final = b'{"type":"review"}'
"""The event of a change of what waits for review, or of reports."""

ENDS_REPORTS: Final = frozenset({"hide", "erase"})
"""What operators do to a message so that its reports are done with."""

_RULES = "rule/"
_BANS = f"{_RULES}ban/"
_FILTERS = f"{_RULES}filter/"
_SLOW = f"{_RULES}slow"

_encode = msgspec.json.Encoder().encode
_decode_ban = msgspec.json.Decoder(Ban).decode
_decode_filter = msgspec.json.Decoder(Filter).decode


class Overview(Struct, frozen=True, kw_only=True):
    """What there is to look at: the first ones, and how many there are."""

    held: list[HeldPost]
    held_count: int
    reported: list[Reported]
    reported_count: int


class Moderation(DurableObject):
    """See the module. ``by`` is the operator's name."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        storage = ctx.storage
        self._bans: dict[str, Ban] = {}
        self._filters: dict[str, Filter] = {}
        self._slow_seconds = 0
        self._load()
        self._held = HeldPosts(storage)
        self._reports = Reports(storage)
        self._audit = AuditLog(storage)

    @durable_objects.read
    def replay(self, since: int) -> Replay:
        """That something may have changed, if there were commits since."""
        if since == self.ctx.seq:
            return Replay(since, [])
        if since > self.ctx.seq:
            raise EventsLost(f"commit {since} is of other data; the object is at commit {self.ctx.seq}")
        return Replay(self.ctx.seq, [(self.ctx.seq, (RULES, REVIEW))])

    # -- Rules

    @durable_objects.read
    def rules(self) -> Rules:
        """Those in force."""
        now = self.ctx.now()
        bans = [ban for ban in self._bans.values() if ban.until > now]
        return Rules(seq=self.ctx.seq, bans=bans, filters=list(self._filters.values()), slow_seconds=self._slow_seconds)

    def ban(self, subject: Subject, seconds: int, by: str, reason: str) -> Ban:
        """Ban somebody for this time from now on; who is banned already gets the new end. Raises ``RulesFull``."""
        now = self.ctx.now()
        self._end_bans(now)
        known = next((ban for ban in self._bans.values() if ban.subject == subject), None)
        if known is None and len(self._bans) >= MAX_BANS:
            raise RulesFull(f"there are {MAX_BANS} bans; end one first")
        ban_id = self._new_id() if known is None else known.id
        ban = Ban(
            id=ban_id,
            username=subject.username,
            color=subject.color,
            color_tail=subject.color_tail,
            address=subject.address,
            until=now + seconds * 1_000,
            at=now,
            by=by,
            reason=reason,
        )
        self._bans[ban_id] = ban
        self.ctx.storage.put(_BANS + ban_id, _encode(ban))
        self._rules_changed(by, "ban", f"{who(subject)} for {seconds} s", reason)
        return ban

    def unban(self, ban_id: str, by: str, reason: str) -> None:
        """End a ban; raises ``UnknownRule``."""
        ban = self._bans.get(ban_id)
        if ban is None or ban.until <= self.ctx.now():
            raise UnknownRule(f"no ban has the id {ban_id!r}; it may have ended", field="banId")
        self._drop_ban(ban_id)
        self._rules_changed(by, "unban", who(ban.subject), reason)

    def filter(self, phrase: str, action: FilterAction, by: str, reason: str) -> Filter:
        """Refuse or hold posts with a phrase of at least one word from now on; replaces an earlier filter for the same phrase.

        Raises ``RulesFull``.
        """
        key = _filter_key(phrase)
        if key not in self._filters and len(self._filters) >= MAX_FILTERS:
            raise RulesFull(f"there are {MAX_FILTERS} filters; remove one first")
        found = Filter(phrase=phrase, action=action, at=self.ctx.now(), by=by, reason=reason)
        self._filters[key] = found
        self.ctx.storage.put(key, _encode(found))
        self._rules_changed(by, "filter", f"{phrase} ({action})", reason)
        return found

    def unfilter(self, phrase: str, by: str, reason: str) -> None:
        """Remove a filter; raises ``UnknownRule``."""
        key = _filter_key(phrase)
        if self._filters.pop(key, None) is None:
            raise UnknownRule(f"no filter has the phrase {phrase!r}", field="phrase")
        self.ctx.storage.delete(key)
        self._rules_changed(by, "unfilter", phrase, reason)

    def slow(self, seconds: int, by: str, reason: str) -> None:
        """Take one post in this many seconds from one address; 0 ends slow mode."""
        self._slow_seconds = seconds
        self.ctx.storage.put(_SLOW, b"%d" % seconds)
        self._rules_changed(by, "slow", f"{seconds} s", reason)

    def alarm(self) -> None:
        """Drop bans that have ended, and reports that are too old."""
        self._end_bans(self.ctx.now())
        self._reports.drop_old(self.ctx.now())
        self._set_alarm()
        self.ctx.publish(RULES)

    # -- Review

    @durable_objects.read
    def check_room(self) -> None:
        """Raise ``ReviewFull`` if no further post may wait for review."""
        if len(self._held) >= MAX_HELD:
            raise ReviewFull(f"{MAX_HELD} posts wait for review already; try again later")

    def take(self, post: HeldPost) -> None:
        """A post has to wait for review; sent by the object that would have made its message.

        Its client may have named an id that another post has waited with for more than a day, so that the key of that one is
        forgotten. Both wait then, the later one with an id of its own.
        """
        if self._held.get(post.id) is not None:
            post = replace(post, id=self._new_held_id())
        self._held.add(post)
        self.ctx.publish(REVIEW)

    @durable_objects.read
    def held(self, message_id: str) -> HeldPost | None:
        """The post with this id; None if it is decided. Raises ``NotHeld``."""
        post = self._held.get(message_id)
        if post is None and self._held.decision(message_id) is None:
            raise NotHeld(message_id)
        return post

    def approve(self, message_id: str, to: ObjectId, by: str, reason: str) -> None:
        """Let the object ``to`` make the message. Does nothing if it is approved already.

        Raises ``NotHeld``, and ``WrongState`` if the post is rejected.
        """
        post = self._decide(message_id, "approved")
        if post is not None:
            self.ctx.send(to, TakesReviewed.post_held, replace(post.new, id=post.id))
            self._reviewed(by, "approve", post.id, reason)

    def reject(self, message_id: str, to: ObjectId, by: str, reason: str) -> None:
        """End the review without a message. Does nothing if it is rejected already; raises as ``approve``."""
        post = self._decide(message_id, "rejected")
        if post is not None:
            self.ctx.send(to, TakesReviewed.end_held, post.id)
            self._reviewed(by, "reject", post.id, reason)

    # -- Reports

    def report_key(self, offered: str) -> str:
        """The key with which reporters' addresses are hashed: ``offered`` if there is none yet."""
        return self._reports.key(offered)

    def report(self, message_id: str, client: str, reason: str) -> None:
        """Somebody reports a message; once counts. Raises ``ReportsFull``."""
        if self._reports.add(message_id, client, reason, self.ctx.now()):
            self._set_alarm()
            self.ctx.publish(REVIEW)

    def dismiss(self, message_id: str, by: str, reason: str) -> None:
        """The reports of a message are done with; raises ``UnknownMessage`` if it has none."""
        if not self._reports.drop(message_id):
            raise UnknownMessage("messageId", message_id)
        self._audit.add(by, "dismiss", message_id, reason, self.ctx.now())
        self.ctx.publish(REVIEW)

    # -- What was done

    @durable_objects.read
    def overview(self) -> Overview:
        """Up to ``MAX_REVIEW`` posts that wait for review, and as many messages with reports, those of longest ago first."""
        return Overview(
            held=list(self._held.oldest(MAX_REVIEW)),
            held_count=len(self._held),
            reported=list(self._reports.oldest(MAX_REVIEW, self.ctx.now())),
            reported_count=len(self._reports),
        )

    def record(self, by: str, action: str, about: str, reason: str) -> None:
        """An operator has done something elsewhere; sent by the object that did it, in the same commit."""
        self._audit.add(by, action, about, reason, self.ctx.now())
        if action in ENDS_REPORTS and self._reports.drop(about):
            self.ctx.publish(REVIEW)

    @durable_objects.read
    def audit(self, limit: int, before: int | None = None) -> list[AuditEntry]:
        """Up to ``limit`` entries of the audit log with numbers below ``before``, newest first."""
        return self._audit.newest(limit, before)

    # -- Helpers

    def _load(self) -> None:
        """Read the rules, which mostly takes one read."""
        after = ""
        while page := self.ctx.storage.list(_RULES, after=after):
            for key, stored in page:
                if key.startswith(_BANS):
                    self._bans[key.removeprefix(_BANS)] = _decode_ban(stored)
                elif key.startswith(_FILTERS):
                    self._filters[key] = _decode_filter(stored)
                else:
                    self._slow_seconds = int(stored)
            if len(page) < MAX_LIST_PAGE:
                return
            after = page[-1][0]

    def _decide(self, message_id: str, decision: Decision) -> HeldPost | None:
        """End the wait of a post, which is returned; None if this was decided before."""
        post = self._held.get(message_id)
        if post is not None:
            self._held.end(post, decision)
            return post
        before = self._held.decision(message_id)
        if before is None:
            raise NotHeld(message_id)
        if before != decision:
            raise WrongState(f"the post is {before} already", "messageId")
        return None

    def _reviewed(self, by: str, action: str, message_id: str, reason: str) -> None:
        self._audit.add(by, action, message_id, reason, self.ctx.now())
        self.ctx.publish(REVIEW)

    def _rules_changed(self, by: str, action: str, about: str, reason: str) -> None:
        self._audit.add(by, action, about, reason, self.ctx.now())
        self._set_alarm()
        self.ctx.publish(RULES)

    def _end_bans(self, now: int) -> None:
        """Drop bans that have ended, up to ``MAX_DUE_PER_CALL``: the alarm drops the next ones."""
        for ban in [ban for ban in self._bans.values() if ban.until <= now][:MAX_DUE_PER_CALL]:
            self._drop_ban(ban.id)

    def _set_alarm(self) -> None:
        ends = [ban.until for ban in self._bans.values()]
        if (reports_end := self._reports.end_at()) is not None:
            ends.append(reports_end)
        self.ctx.set_alarm(min(ends, default=None))

    def _drop_ban(self, ban_id: str) -> None:
        del self._bans[ban_id]
        self.ctx.storage.delete(_BANS + ban_id)

    def _new_held_id(self) -> str:
        while self._held.get(post_id := random_id(self.ctx.random)) is not None:
            pass
        return post_id

    def _new_id(self) -> str:
        while (ban_id := random_id(self.ctx.random)) in self._bans:
            pass
        return ban_id


def who(subject: Subject) -> str:
    """A person or network, for people."""
    if subject.address:
        return subject.address
    tail = f"-{subject.color_tail}" if subject.color_tail else ""
    return f"{subject.username} {subject.color}{tail}"


def _filter_key(phrase: str) -> str:
    """The same for all ways to write a phrase, and short however long its words are after normalization."""
    return _FILTERS + blake2b(" ".join(words_of(phrase)).encode(), digest_size=16).hexdigest()
