"""Every refusal as ``application/problem+json`` (RFC 9457), in this one place (P8)."""

import logging
import re
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from starlette.responses import Response

from durable_objects import CommitFailed, DataBusy, ObjectFailed, OutcomeUnknown, Overloaded, RuntimeClosed
from saywhatwant import errors
from saywhatwant.validation import humanize

log = logging.getLogger("saywhatwant")

RETRY_SECONDS = 1
"""The default of ``Retry-After``."""


class Problem(Struct, frozen=True, omit_defaults=True):
    """The body of a refusal. ``field`` is the path of the offending value, ``rule`` what it must be."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    rule: str | None = None


class Kind(NamedTuple):
    """A kind of problem: its status, its name in the type's URN, and its title."""

    status: int
    name: str
    title: str


_NOT_WRITTEN = Kind(503, "not-written", "The data could not be written")

_KINDS: dict[type[BaseException], Kind] = {
    errors.InvalidField: Kind(422, "invalid-field", "A value breaks a rule"),
    errors.NoSuchPath: Kind(404, "no-such-path", "Nothing is served here"),
    errors.MethodNotAllowed: Kind(405, "method-not-allowed", "The path does not take this method"),
    errors.MalformedBody: Kind(400, "malformed-body", "The body is malformed"),
    errors.BodyTooLarge: Kind(413, "body-too-large", "The body is too large"),
    errors.NotAllowed: Kind(401, "not-allowed", "The bot token is missing or wrong"),
    errors.CrossSite: Kind(403, "cross-site", "Pages of other sites may not do this"),
    errors.UnknownMessage: Kind(404, "unknown-message", "There is no such message"),
    errors.WrongState: Kind(409, "wrong-state", "The message is in another state"),
    errors.AttemptRequired: Kind(409, "attempt-required", "The call must name its attempt"),
    errors.NotTheHolder: Kind(409, "not-the-holder", "This attempt does not hold the message"),
    errors.KeyReused: Kind(422, "key-reused", "The key or id was used for another message"),
    errors.IdTaken: Kind(409, "id-taken", "Another message has this id"),
    errors.TooManyPosts: Kind(429, "too-many-posts", "Too many posts"),
    errors.TooManyReaders: Kind(429, "too-many-readers", "Too many sockets"),
    errors.UpgradeRequired: Kind(426, "upgrade-required", "This is a WebSocket"),
    errors.KeysFull: Kind(503, "keys-full", "Too many keys are remembered"),
    errors.BacklogFull: Kind(503, "backlog-full", "Too much work is waiting"),
    errors.TooManyWaiting: Kind(503, "too-many-waiting", "Too many claims are waiting"),
    errors.TooManyLargeBodies: Kind(503, "too-many-large-bodies", "Too many large bodies at once"),
    errors.NotReady: Kind(503, "not-ready", "The server is not ready"),
    CommitFailed: _NOT_WRITTEN,
    OutcomeUnknown: _NOT_WRITTEN,
    DataBusy: Kind(503, "busy", "Another program has locked the data"),
    Overloaded: Kind(503, "overloaded", "Too many calls are waiting"),
    RuntimeClosed: Kind(503, "stopping", "The server is starting or stopping"),
    ObjectFailed: Kind(500, "failed", "Something went wrong in the server"),
}
_TEMPORARY = {429, 503}
_UNEXPECTED = Kind(500, "failed", "Something went wrong in the server")
_FIELD = re.compile(r"^(?P<rule>.*) - at (?:`key` in )?`\$\.?(?P<field>.*)`$", re.DOTALL)
_MEMBER = {"body": "field", "query": "parameter"}
_MISSING = re.compile(r"^Object missing required field `(?P<field>[^`]*)`")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<field>.*)`$", re.DOTALL)


def invalid(error: msgspec.ValidationError, kind: type[Any], root: str) -> errors.InvalidField:
    """The decoder's error for ``kind`` as ``InvalidField``; ``root`` is "body" or "query"."""
    match = _FIELD.match(str(error))
    found, place = (match["rule"], match["field"]) if match else (str(error), "")
    if missing := _MISSING.match(found):
        return errors.InvalidField(_path(place, missing["field"]), "is required")
    if unknown := _UNKNOWN.match(found):
        return errors.InvalidField(_path(place, unknown["field"]), f"is not a known {_MEMBER[root]}")
    types = {declared.encode_name: declared.type for declared in msgspec.structs.fields(kind)}
    return errors.InvalidField(place or root, humanize(found, types.get(place)))


def _path(*parts: str) -> str:
    return ".".join(filter(None, parts))


def problem(error: Exception) -> Response:
    """The refusal as a response; an unexpected error is logged, and its text is not sent to the client."""
    kind = next((_KINDS[cls] for cls in type(error).__mro__ if cls in _KINDS), _UNEXPECTED)
    if kind.status == _UNEXPECTED.status:
        log.error("unexpected error", exc_info=error)
        return problem_response(kind, "the server's log has the details; nothing was changed")
    headers = {}
    if isinstance(error, errors.MethodNotAllowed):
        headers["Allow"] = error.allow
    if isinstance(error, errors.TooManyPosts):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, errors.UpgradeRequired):
        headers["Upgrade"] = "websocket"
    if isinstance(error, errors.NotAllowed):
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(kind, str(error), getattr(error, "field", None), getattr(error, "rule", None), headers)


def problem_response(
    kind: Kind,
    detail: str,
    field: str | None = None,
    rule: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem as a response; a temporary one has ``Retry-After``."""
    body = Problem(f"urn:saywhatwant:problem:{kind.name}", kind.title, kind.status, detail, field, rule)
    response = Response(msgspec.json.encode(body), kind.status, headers, "application/problem+json")
    if kind.status in _TEMPORARY:
        response.headers.setdefault("Retry-After", str(RETRY_SECONDS))
    return response
