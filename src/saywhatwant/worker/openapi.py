"""The OpenAPI 3.1 document, generated from the structs, and the page that shows it without a network."""

from asyncio import create_task
from importlib import metadata
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from saywhatwant.message import Message
from saywhatwant.worker.endpoint import Handler
from saywhatwant.worker.operations import OPERATIONS, Operation
from saywhatwant.worker.problems import Problem, problem

_MEANINGS = {
    101: "The WebSocket is open; each of its text frames is",
    200: "Done",
    304: "Nothing has changed since",
    400: "The body is not JSON",
    401: "The bot token is missing or wrong",
    404: "There is no such message",
    409: "The message is in another state, or held by another attempt",
    403: "ReadCache of this site may not do this",
    413: "The body is too large",
    422: "A value breaks a rule; the problem names field and rule",
    426: "There was no WebSocket handshake",
    429: "Too many from this address",
    503: "Not now; Retry-After says when",
}


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    structs: list[Any] = [Message, Problem]
    for operation in OPERATIONS:
        structs += [struct for struct in (operation.body, operation.query, *operation.answers) if struct is not None]
    schemas, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    schema_of = {repr(struct): schema for struct, schema in zip(structs, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Say What Want",
            "version": metadata.version("saywhatwant"),
            "description": "A public wall where people post and AI entities answer. Every refusal is a problem (RFC 9457).",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "botToken": {"type": "http", "scheme": "bearer", "description": "Needed where the server has a bot token set"}
            },
        },
    }


def _operation(operation: Operation, schema_of: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    answers = [schema_of[repr(answer)] for answer in operation.answers]
    answer_type = "text/plain" if str in operation.answers else "application/json"
    content = {answer_type: {"schema": answers[0] if len(answers) == 1 else {"oneOf": answers}}}
    responses: dict[str, Any] = {"200": {"description": _MEANINGS[200], "content": content}}
    if operation.upgrades:
        responses = {"101": {"description": _MEANINGS[101], "content": content}}
    refusals = {*operation.refusals, *((401,) if operation.token else ())}
    for status in sorted(refusals):
        responses[str(status)] = {"description": _MEANINGS[status]}
        if status != 304:  # noqa: PLR2004 - as HTTP names it
            responses[str(status)]["content"] = {"application/problem+json": {"schema": schema_of[repr(Problem)]}}
    described: dict[str, Any] = {"operationId": operation.handler, "summary": operation.summary, "responses": responses}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}} for name, text in operation.headers
    ]
    if operation.query is not None:
        query = components[operation.query.__name__]
        parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in query["properties"].items()]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        schema = schema_of[repr(operation.body)]
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if operation.token:
        described["security"] = [{"botToken": []}, {}]
    return described


def handlers() -> dict[str, Handler]:
    """The document, and the page that shows it."""
    encoded = msgspec.json.encode(document())
    docs = files("saywhatwant.worker") / "docs"
    page, script = (docs / "index.html").read_bytes(), (docs / "docs.js").read_bytes()

    async def serve_document(_: Request) -> Response:
        return Response(encoded, media_type="application/json")

    async def serve_page(_: Request) -> Response:
        return Response(page, media_type="text/html")

    async def serve_script(_: Request) -> Response:
        return Response(script, media_type="text/javascript")

    return {"/api/openapi.json": serve_document, "/api/docs": serve_page, "/api/docs/docs.js": serve_script}


def assets() -> Mount:
    """What the page is made of."""
    served = StaticFiles(directory=_assets())

    async def in_a_task(scope: Scope, receive: Receive, send: Send) -> None:
        # They are read in threads, by a library that asks for the current task; ``exchange`` begins without one.
        try:
            await create_task(served(scope, receive, send))
        except HTTPException as error:
            await problem(error)(scope, receive, send)

    return Mount("/api/docs/assets", in_a_task)


def _assets() -> Path:
    # Only its files are wanted: importing the package would load a web framework adapter.
    spec = find_spec("swagger_ui")
    assert spec is not None  # noqa: S101 - a dependency of this package
    assert spec.origin is not None  # noqa: S101 - it is a regular package
    return Path(spec.origin).parent / "static"
