"""The OpenAPI 3.1 document, generated from the structs that decode, validate and answer."""

from importlib import metadata
from typing import Any

import msgspec

from saywhatwant.limits import MAX_USERNAME
from saywhatwant.message import MAYBE_TEXT_PATTERN, TEXT_PATTERN, USERNAME_PATTERN, Message
from saywhatwant.worker.moderation import MODERATION_OPERATIONS
from saywhatwant.worker.operations import OPERATIONS, Operation
from saywhatwant.worker.ops_api import OPS_OPERATIONS
from saywhatwant.worker.original import ORIGINAL_OPERATIONS
from saywhatwant.worker.rules_api import RULES_OPERATIONS

_MEANINGS = {
    101: "The WebSocket is open; each of its text frames is",
    200: "Done",
    202: "It waits for an operator's review",
    304: "Nothing has changed since",
    400: "The body is not JSON",
    401: "The token is missing or wrong",
    403: "Pages of this site may not do this, or the token has another scope",
    404: "There is no such message",
    409: "The message is in another state, or held by another attempt",
    413: "The body is too large",
    422: "A value breaks a rule, or a field or parameter is unknown; the problem names field and rule",
    426: "There was no WebSocket handshake",
    429: "Too many requests from this address",
    503: "Temporarily not possible; Retry-After has the seconds to wait",
}
_DESCRIPTION = """A public wall where people post and AI entities answer. Every refusal is a problem (RFC 9457).

Fields and parameters that are not described here are refused by name. Any request may also be refused before it is parsed:
400 if it is not HTTP, 408 if it arrives too slowly, 431 if its headers are too large, 503 if there are too many connections.
"""
_CLIENT_FRAMES = "Each line of a text frame of the client is one of these. The server's text frames may have several lines too"
_TAGS = {
    "moderation": "What operators do with messages and posts, and reports of visitors; docs/moderate.md explains it.",
    "ops": "What the page /ops calls. Operators sign in there with a token, and have a cookie then.",
    "original": "The dialect of the original's pages and bots, for pages of every origin; docs/original.md explains it. "
    "PATCH /original/api/comments/ID is always refused: messages have no score.",
}
_NEEDS_TOKEN = (401, 403)
_ACCESS = {
    "anyone": (),
    "own pages": (403,),
    "bots": _NEEDS_TOKEN,
    "operators": _NEEDS_TOKEN,
    "bots and operators": _NEEDS_TOKEN,
}
_LINK = 'the next page, as <address>; rel="next", if this one was cut: at 8 MiB, or by the limit of changedAfter'
_RESET = (
    "if changedAfter was of another time, as that of a wall that was restored from a backup: forget what you have; "
    "these are all messages from the first on"
)
_RESPONSE_HEADERS: dict[str, dict[str, tuple[str, str]]] = {
    "read": {
        "ETag": (
            "the commit that this was read at; for changedAfter the commit to continue from",
            r'^"[0-9]+(_[0-9]+(-[0-9]+_[0-9]+)*)?"$',
        ),
        "Link": (_LINK, r'^<[^>]+>; rel="next"$'),
        "SWW-Reset": (_RESET, r"^true$"),
    }
}
"""Response headers by operation, each with description and pattern."""


def document(*, max_text: int, needs_token: bool) -> dict[str, Any]:
    """The OpenAPI document of a server whose longest text has ``max_text`` characters, with or without tokens."""
    security: list[dict[str, list[str]]] = [{"token": []}] if needs_token else [{"token": []}, {}]
    structs: list[Any] = [Message]
    operations = (*OPERATIONS, *MODERATION_OPERATIONS, *RULES_OPERATIONS, *OPS_OPERATIONS, *ORIGINAL_OPERATIONS)
    for operation in operations:
        structs += [operation.query.kind, *operation.answers, operation.problem]
        if operation.body is not None:
            structs.append(operation.body.kind)
        if operation.sends is not None:
            structs.append(operation.sends)
    schemas, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    _state_lengths(components, max_text)
    schema_of = {repr(struct): schema for struct, schema in zip(structs, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _operation(operation, schema_of, components)
        if _ACCESS[operation.access] == _NEEDS_TOKEN:
            described["security"] = security
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    for name in {operation.query.kind.__name__ for operation in operations}:
        del components[name]  # they are parameters
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Say What Want",
            "version": _version(),
            "description": _DESCRIPTION,
        },
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Needed if the server has a token set; see its scopes",
                }
            },
        },
    }


def _state_lengths(schema: object, max_text: int) -> None:
    """Add the bounds of texts, which the structs do not state: they apply after trimming, and one is a setting."""
    if isinstance(schema, dict):
        if schema.get("pattern") in {TEXT_PATTERN, MAYBE_TEXT_PATTERN}:
            least = 1 if schema["pattern"] == TEXT_PATTERN else 0
            schema["maxLength"] = max_text
            schema["description"] = (
                f"{least} to {max_text} characters after trimming; no control characters but tab and line breaks"
            )
        elif schema.get("pattern") == USERNAME_PATTERN:
            schema["maxLength"] = MAX_USERNAME
        for part in schema.values():
            _state_lengths(part, max_text)
    elif isinstance(schema, list):
        for part in schema:
            _state_lengths(part, max_text)


def _operation(operation: Operation, schema_of: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _id_of(operation),
        "summary": operation.summary,
        "responses": _responses(operation, schema_of),
    }
    if operation.tag:
        described["tags"] = [operation.tag]
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string", **schema}}
        for name, text, schema in operation.headers
    ]
    query = components[operation.query.kind.__name__]
    needed = query.get("required", [])
    parameters += [
        {
            "name": name,
            "in": "query",
            "required": name in needed,
            "description": schema.get("description", ""),
            "schema": schema,
        }
        for name, schema in query["properties"].items()
    ]
    if parameters:
        described["parameters"] = parameters
        described["description"] = query.get("description", "")
    if operation.sends is not None:
        described["x-client-frames"] = {"description": _CLIENT_FRAMES, "schema": schema_of[repr(operation.sends)]}
    if operation.body is not None:
        schema = schema_of[repr(operation.body.kind)]
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _responses(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    answers = [schema_of[repr(answer)] for answer in operation.answers]
    answer_type = "text/plain" if str in operation.answers else "application/json"
    success = 101 if operation.upgrades else 200
    responses: dict[str, Any] = {
        str(success): {
            "description": _MEANINGS[success],
            "content": {answer_type: {"schema": answers[0] if len(answers) == 1 else {"oneOf": answers}}},
        }
    }
    if operation.may_hold:
        responses["202"] = responses[str(success)] | {"description": _MEANINGS[202]}
    if headers := _RESPONSE_HEADERS.get(_id_of(operation)):
        responses[str(success)]["headers"] = {
            name: {"description": text, "schema": {"type": "string", "pattern": pattern}}
            for name, (text, pattern) in headers.items()
        }
    for status in sorted({*operation.refusals, *_ACCESS[operation.access], 422}):
        responses[str(status)] = {"description": _MEANINGS[status]}
        if status != 304:  # noqa: PLR2004 - as HTTP names it
            responses[str(status)]["content"] = {"application/problem+json": {"schema": schema_of[repr(operation.problem)]}}
    return responses


def _id_of(operation: Operation) -> str:
    return f"{operation.tag}_{operation.handler}" if operation.tag else operation.handler


def _version() -> str:
    try:
        return metadata.version("saywhatwant")
    except metadata.PackageNotFoundError:  # a bundle has the modules and nothing else
        return "unknown"
