"""The calls about rules, reviews and reports."""

import secrets
from collections.abc import Callable
from functools import partial
from hashlib import blake2b

from msgspec import Raw
from starlette.responses import Response

from durable_objects import ObjectId
from saywhatwant.errors import InvalidField, TooManyReports, UnknownMessage
from saywhatwant.limits import MAX_PHRASE_WORDS
from saywhatwant.message import clean_username, split_color
from saywhatwant.moderation import schemas
from saywhatwant.moderation.held import HeldPost
from saywhatwant.moderation.object import MODERATION, Moderation
from saywhatwant.moderation.phrases import words_of
from saywhatwant.moderation.prefixes import network_of
from saywhatwant.moderation.reports import Reported
from saywhatwant.moderation.rules import Subject
from saywhatwant.schemas import Ok
from saywhatwant.topology import Wall
from saywhatwant.worker.auth import Auth
from saywhatwant.worker.decoders import Body, NoParameters, Query, client_of
from saywhatwant.worker.endpoint import JSON
from saywhatwant.worker.moderator import Moderator
from saywhatwant.worker.operations import BODY, WORK, Operation
from saywhatwant.worker.rate_limit import RateLimiter
from saywhatwant.worker.request import Request

_PATH = "/api/moderation"
_KEY_BYTES = 32
_HASH_BYTES = 8

Decide = Callable[[Moderation, str, ObjectId, str, str], None]


class RulesApi:
    """The handlers of ``RULES_OPERATIONS``, by name. Each takes the request and its decoded body or query."""

    def __init__(self, wall: Wall, moderator: Moderator, auth: Auth, *, reports_per_minute: int) -> None:
        self._wall = wall
        self._moderator = moderator
        self._auth = auth
        self._reports = RateLimiter(reports_per_minute)
        self._report_key: bytes | None = None

    # -- What there is

    async def moderation(self, _: Request, __: NoParameters) -> Response:
        """GET /api/moderation."""
        rules = await self._moderator.call(Moderation.rules)
        overview = await self._moderator.call(Moderation.overview)
        return JSON(
            schemas.ModerationState(
                bans=rules.bans,
                filters=rules.filters,
                slow_seconds=rules.slow_seconds,
                review=[_held(post) for post in overview.held],
                review_count=overview.held_count,
                reports=[_reported(found, await self._message(found.message_id)) for found in overview.reported],
                report_count=overview.reported_count,
            )
        )

    async def audit(self, _: Request, query: schemas.AuditQuery) -> Response:
        """GET /api/moderation/audit."""
        return JSON(schemas.AuditPage(await self._moderator.call(Moderation.audit, query.limit, query.before)))

    # -- Rules

    async def ban(self, request: Request, body: schemas.BanRequest) -> Response:
        """POST /api/moderation/ban."""
        by = self._auth.operator(request).name
        ban = await self._moderator.change_rules(Moderation.ban, _subject(body), body.seconds, by, body.reason)
        return JSON(schemas.BanResponse(ban))

    async def unban(self, request: Request, body: schemas.UnbanRequest) -> Response:
        """POST /api/moderation/unban."""
        by = self._auth.operator(request).name
        await self._moderator.change_rules(Moderation.unban, body.ban_id, by, body.reason)
        return JSON(Ok())

    async def filter(self, request: Request, body: schemas.FilterRequest) -> Response:
        """POST /api/moderation/filter."""
        by = self._auth.operator(request).name
        if not 1 <= len(words_of(body.phrase)) <= MAX_PHRASE_WORDS:
            raise InvalidField("phrase", f"must have 1 to {MAX_PHRASE_WORDS} words: letters or digits")
        found = await self._moderator.change_rules(Moderation.filter, body.phrase, body.action, by, body.reason)
        return JSON(schemas.FilterResponse(found))

    async def unfilter(self, request: Request, body: schemas.UnfilterRequest) -> Response:
        """POST /api/moderation/unfilter."""
        by = self._auth.operator(request).name
        await self._moderator.change_rules(Moderation.unfilter, body.phrase, by, body.reason)
        return JSON(Ok())

    async def slow(self, request: Request, body: schemas.SlowRequest) -> Response:
        """POST /api/moderation/slow."""
        by = self._auth.operator(request).name
        await self._moderator.change_rules(Moderation.slow, body.seconds, by, body.reason)
        return JSON(Ok())

    # -- Review

    async def approve(self, request: Request, body: schemas.ReviewRequest) -> Response:
        """POST /api/moderation/approve. When it answers, readers see the message."""
        return await self._decide(request, body, Moderation.approve)

    async def reject(self, request: Request, body: schemas.ReviewRequest) -> Response:
        """POST /api/moderation/reject."""
        return await self._decide(request, body, Moderation.reject)

    async def dismiss(self, request: Request, body: schemas.ReviewRequest) -> Response:
        """POST /api/moderation/dismiss."""
        await self._moderator.call(Moderation.dismiss, body.message_id, self._auth.operator(request).name, body.reason)
        return JSON(Ok())

    # -- Visitors

    async def report(self, request: Request, body: schemas.ReportRequest) -> Response:
        """POST /api/report."""
        client = client_of(request)
        if wait := self._reports.wait(client):
            raise TooManyReports(self._reports.per_minute, wait)
        self._reports.count(client)
        await self._wall.message(body.message_id)
        await self._moderator.call(Moderation.report, body.message_id, await self._hash(client), body.reason.strip())
        return JSON(Ok())

    # -- Helpers

    async def _decide(self, request: Request, body: schemas.ReviewRequest, decide: Decide) -> Response:
        by = self._auth.operator(request).name
        held = await self._moderator.call(Moderation.held, body.message_id)
        # What is decided already goes nowhere.
        place = MODERATION if held is None else await self._wall.place_of(held)
        await self._moderator.call(decide, body.message_id, place, by, body.reason)
        await self._moderator.settle()
        return JSON(Ok())

    async def _message(self, message_id: str) -> Raw | None:
        try:
            return await self._wall.message(message_id)
        except UnknownMessage:
            return None

    async def _hash(self, client: str) -> str:
        """The client as reports have it: the same for the same address, and of no use without the key in the data."""
        if self._report_key is None:
            offered = secrets.token_hex(_KEY_BYTES)
            self._report_key = bytes.fromhex(await self._moderator.call(Moderation.report_key, offered))
        return blake2b(client.encode(), key=self._report_key, digest_size=_HASH_BYTES).hexdigest()


def _subject(body: schemas.BanRequest) -> Subject:
    """Whom a ban is for; raises ``InvalidField``."""
    if body.address is not None:
        for field, given in (("username", body.username), ("color", body.color)):
            if given is not None:
                raise InvalidField(field, "must not be combined with address: a ban is for a person or for addresses")
        return Subject(address=str(network_of(body.address)))
    if body.username is None or body.color is None:
        missing = "address" if body.username is body.color is None else "username" if body.username is None else "color"
        raise InvalidField(missing, "is required: a ban is for an address, or for a username with its color")
    color, tail = split_color(body.color)
    return Subject(username=clean_username(body.username), color=color, color_tail=tail)


def _held(post: HeldPost) -> schemas.HeldSummary:
    new = post.new
    return schemas.HeldSummary(
        id=post.id,
        at=post.at,
        phrase=post.phrase,
        text=new.text,
        username=new.username,
        color=new.color if new.color_tail is None else f"{new.color}-{new.color_tail}",
        entity=new.entity,
    )


def _reported(found: Reported, message: Raw | None) -> schemas.ReportSummary:
    return schemas.ReportSummary(
        message_id=found.message_id,
        first_at=found.first_at,
        last_at=found.last_at,
        count=len(found.clients),
        reasons=found.reasons,
        message=message,
    )


_of_operators = partial(Operation, access="operators", tag="moderation")

RULES_OPERATIONS: tuple[Operation, ...] = (
    _of_operators(
        method="GET",
        path=_PATH,
        handler="moderation",
        summary="Show the rules in force, the posts that wait for review, and the reports",
        answers=(schemas.ModerationState,),
        refusals=(503,),
    ),
    _of_operators(
        method="GET",
        path=f"{_PATH}/audit",
        handler="audit",
        summary="Show what operators have done, newest first",
        query=Query(schemas.AuditQuery),
        answers=(schemas.AuditPage,),
        refusals=(503,),
    ),
    _of_operators(
        method="POST",
        path=f"{_PATH}/ban",
        handler="ban",
        summary="Take no posts from a person or network for a time; repeated, it sets a new end",
        body=Body(schemas.BanRequest),
        answers=(schemas.BanResponse,),
        refusals=(*BODY, 409),
    ),
    _of_operators(
        method="POST",
        path=f"{_PATH}/unban",
        handler="unban",
        summary="End a ban",
        body=Body(schemas.UnbanRequest),
        answers=(Ok,),
        refusals=(*BODY, 404),
    ),
    _of_operators(
        method="POST",
        path=f"{_PATH}/filter",
        handler="filter",
        summary="Refuse posts with a word or phrase, or hold them for review; repeated, it replaces the filter",
        body=Body(schemas.FilterRequest),
        answers=(schemas.FilterResponse,),
        refusals=(*BODY, 409),
    ),
    _of_operators(
        method="POST",
        path=f"{_PATH}/unfilter",
        handler="unfilter",
        summary="Remove a filter",
        body=Body(schemas.UnfilterRequest),
        answers=(Ok,),
        refusals=(*BODY, 404),
    ),
    _of_operators(
        method="POST",
        path=f"{_PATH}/slow",
        handler="slow",
        summary="Take one post in so many seconds from one address",
        body=Body(schemas.SlowRequest),
        answers=(Ok,),
        refusals=BODY,
    ),
    _of_operators(
        method="POST",
        path=f"{_PATH}/approve",
        handler="approve",
        summary="Let a post that waits for review onto the wall; repeated, it does nothing more",
        body=Body(schemas.ReviewRequest),
        answers=(Ok,),
        refusals=WORK,
    ),
    _of_operators(
        method="POST",
        path=f"{_PATH}/reject",
        handler="reject",
        summary="Keep a post that waits for review off the wall; repeated, it does nothing more",
        body=Body(schemas.ReviewRequest),
        answers=(Ok,),
        refusals=WORK,
    ),
    _of_operators(
        method="POST",
        path=f"{_PATH}/dismiss",
        handler="dismiss",
        summary="Be done with the reports of a message",
        body=Body(schemas.ReviewRequest),
        answers=(Ok,),
        refusals=(*BODY, 404),
    ),
    Operation(
        method="POST",
        path="/api/report",
        handler="report",
        summary="Report a message to the operators; one address counts once for each message",
        body=Body(schemas.ReportRequest),
        answers=(Ok,),
        access="own pages",
        refusals=(*BODY, 404, 429),
        tag="moderation",
    ),
)
