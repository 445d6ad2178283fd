"""Every refusal as ``application/problem+json`` (RFC 9457), in this one place (P8)."""

import logging
import re
from typing import Any, NamedTuple, cast

import msgspec
from msgspec import Struct
from starlette.responses import Response

from durable_objects import DurableObjectError, Refusal
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
    """A kind of problem: its status, the code of its errors, which is part of the type's URN, and its title."""

    status: int
    code: str
    title: str


_ALL_KINDS = (
    Kind(422, "invalid-field", "A value breaks a rule"),
    Kind(404, "no-such-path", "Nothing is served here"),
    Kind(405, "method-not-allowed", "The path does not take this method"),
    Kind(400, "malformed-body", "The body is malformed"),
    Kind(413, "body-too-large", "The body is too large"),
    Kind(401, "not-allowed", "The token is missing or wrong"),
    Kind(403, "wrong-scope", "The token has another scope"),
    Kind(403, "banned", "Posts are not taken from here for a while"),
    Kind(403, "refused-by-rule", "A rule refuses the post"),
    Kind(403, "cross-site", "Pages of other sites may not do this"),
    Kind(404, "unknown-message", "There is no such message"),
    Kind(404, "unknown-rule", "There is no such ban or filter"),
    Kind(404, "not-held", "No such post waits for review"),
    Kind(422, "word-not-allowed", "The post has a word that is not allowed"),
    Kind(409, "rules-full", "There are too many rules"),
    Kind(409, "wrong-state", "The message is in another state"),
    Kind(409, "attempt-required", "The call must name its attempt"),
    Kind(409, "not-the-holder", "This attempt does not hold the message"),
    Kind(422, "key-reused", "The key or id was used for another message"),
    Kind(409, "id-taken", "Another message has this id"),
    Kind(429, "too-many-posts", "Too many posts"),
    Kind(429, "too-many-reports", "Too many reports"),
    Kind(429, "slow-mode", "The wall is in slow mode"),
    Kind(429, "too-many-sign-ins", "Too many wrong tokens"),
    Kind(429, "too-many-readers", "Too many sockets"),
    Kind(426, "upgrade-required", "This is a WebSocket"),
    Kind(503, "keys-full", "Too many keys are remembered"),
    Kind(503, "backlog-full", "Too much work is waiting"),
    Kind(503, "review-full", "Too many posts wait for review"),
    Kind(503, "reports-full", "There are too many reports"),
    Kind(503, "too-many-waiting", "Too many claims are waiting"),
    Kind(503, "too-many-large-bodies", "Too many large bodies at once"),
    Kind(503, "no-session-key", "Nobody can sign in"),
    Kind(503, "not-ready", "The server is not ready"),
    Kind(503, "not-written", "The data could not be written"),
    Kind(503, "outcome-unknown", "It is not known whether the data was written"),
    Kind(503, "busy", "Another program has locked the data"),
    Kind(503, "overloaded", "Too many calls are waiting"),
    Kind(503, "stopping", "The server is starting or stopping"),
    Kind(500, "failed", "Something went wrong in the server"),
)
KINDS = {kind.code: kind for kind in _ALL_KINDS}
"""By the codes of errors: those of refusals, which objects raise, of runtimes, and of the worker itself."""
_TEMPORARY = {429, 503}
_UNEXPECTED = KINDS["failed"]
_FIELD = re.compile(r"^(?P<rule>.*) - at (?:`key` in )?`\$\.?(?P<field>.*)`$", re.DOTALL)
_MEMBER = {"body": "field", "frame": "field", "query": "parameter"}
_MISSING = re.compile(r"^Object missing required field `(?P<field>[^`]*)`")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<field>.*)`$", re.DOTALL)


def invalid(error: msgspec.ValidationError, kind: type[Any], root: str) -> errors.InvalidField:
    """The decoder's error for ``kind`` as ``InvalidField``; ``root`` is "body", "frame" or "query"."""
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
    kind, body = _described(error)
    headers = {}
    if isinstance(error, errors.MethodNotAllowed):
        headers["Allow"] = error.allow
    if isinstance(error, errors.TooManyPosts | errors.TooManyReports | errors.TooManySignIns | errors.SlowMode):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, errors.UpgradeRequired):
        headers["Upgrade"] = "websocket"
    if isinstance(error, errors.NotAllowed):
        headers["WWW-Authenticate"] = "Bearer"
    return _response(kind, body, headers)


def problem_of(error: Exception) -> Problem:
    """The same without a response: for frames of a WebSocket."""
    return _described(error)[1]


def _described(error: Exception) -> tuple[Kind, Problem]:
    kind = _kind_of(error)
    detail, field, rule = str(error), getattr(error, "field", None), getattr(error, "rule", None)
    if kind is _UNEXPECTED:
        log.error("unexpected error", exc_info=error)
        detail, field, rule = "the server's log has the details; nothing was changed", None, None
    elif isinstance(error, DurableObjectError):
        field, rule = cast("str | None", error.fields.get("field")), None
    return kind, Problem(f"urn:saywhatwant:problem:{kind.code}", kind.title, kind.status, detail, field, rule)


def _kind_of(error: Exception) -> Kind:
    code = getattr(error, "code", "")
    if type(error) is Refusal and code not in KINDS:
        # No class here has the code: it comes from an object of a newer version.
        return Kind(409, code, "The call was refused")
    return KINDS.get(code, _UNEXPECTED)


def problem_response(
    kind: Kind,
    detail: str,
    field: str | None = None,
    rule: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem as a response; a temporary one has ``Retry-After``."""
    body = Problem(f"urn:saywhatwant:problem:{kind.code}", kind.title, kind.status, detail, field, rule)
    return _response(kind, body, headers)


def _response(kind: Kind, body: Problem, headers: dict[str, str] | None) -> Response:
    response = Response(msgspec.json.encode(body), kind.status, headers, "application/problem+json")
    if kind.status in _TEMPORARY:
        response.headers.setdefault("Retry-After", str(RETRY_SECONDS))
    return response
