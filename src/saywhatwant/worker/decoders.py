"""Decodes a request's body and query into structs; every refusal names the field and the rule (P8)."""

import re
from collections import Counter
from functools import lru_cache
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from starlette.requests import HTTPConnection

from saywhatwant.addresses import client_network
from saywhatwant.errors import BodyTooLarge, InvalidField, MalformedBody, TooManyLargeBodies
from saywhatwant.worker.limits import LARGE_BODY_BYTES, MAX_CACHED_QUERY_BYTES, MAX_LARGE_BODIES
from saywhatwant.worker.problems import invalid
from saywhatwant.worker.request import Request

T = TypeVar("T")

_DISCONNECTED = "the client disconnected before its body was complete"
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def header(request: HTTPConnection, name: bytes) -> bytes | None:
    """The first header of this lower-case name."""
    for key, value in request.scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


def client_of(connection: HTTPConnection) -> str:
    """The client's key for limits."""
    return client_network(connection.client.host) if connection.client else "unknown"


class Body(Generic[T]):
    """Decodes JSON bodies of one type. It ignores the content type, since ``curl -d`` calls everything a form."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self._decode = msgspec.json.Decoder(kind).decode
        self._large: Counter[str] = Counter()
        """How many bodies on their way are large, by client."""

    async def read(self, request: Request, max_bytes: int) -> T:
        """The decoded body, of up to ``max_bytes``.

        Raises ``BodyTooLarge``, ``TooManyLargeBodies``, ``MalformedBody`` or ``InvalidField``.
        """
        message = await request.receive()
        body = message.get("body", b"")
        if message.get("more_body"):
            body = await self._rest(request, body, max_bytes)
        elif message["type"] == "http.disconnect":
            raise MalformedBody(_DISCONNECTED)
        if len(body) > max_bytes:
            raise BodyTooLarge(f"the body has more than {max_bytes} bytes")
        if not body:
            if header(request, b"upgrade") is not None:
                raise MalformedBody("the body of a request with the header Upgrade is not read; send it without that header")
            raise MalformedBody("the body is empty; send JSON")
        try:
            try:
                return self._decode(body)
            except msgspec.ValidationError as error:
                return self._leniently(body, error)
        except msgspec.ValidationError as error:
            raise invalid(error, self.kind, "body") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedBody(f"the body is not JSON in UTF-8: {error}") from None
        except RecursionError:
            raise MalformedBody("the body is JSON nested too deep") from None

    async def _rest(self, request: Request, body: bytes, max_bytes: int) -> bytes:
        """``body`` and what comes after it, until it is complete or over ``max_bytes``."""
        client = None
        try:
            while len(body) <= max_bytes:
                if client is None and len(body) > LARGE_BODY_BYTES:
                    client = self._take_place(client_of(request))
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise MalformedBody(_DISCONNECTED)
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            return body
        finally:
            if client is not None:
                self._large[client] -= 1
                if not self._large[client]:
                    del self._large[client]

    def _take_place(self, client: str) -> str:
        """Count a large body. A client may have as many as there are places left, so none can take them all from others."""
        left = MAX_LARGE_BODIES - self._large.total()
        if self._large[client] >= left:
            raise TooManyLargeBodies(f"too many bodies over {LARGE_BODY_BYTES} bytes are on their way")
        self._large[client] += 1
        return client

    def _leniently(self, body: bytes, error: msgspec.ValidationError) -> T:
        """1.0 is an integer to JSON Schema and to JavaScript, but not to the decoder, which raised ``error``."""
        if "got `float`" not in str(error):
            raise error
        return msgspec.convert(_with_integers(msgspec.json.decode(body)), self.kind)


def _with_integers(value: Any) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_with_integers(entry) for entry in value]
        case dict():
            return {key: _with_integers(entry) for key, entry in value.items()}
    return value


class Query(Generic[T]):
    """Decodes query strings of one type. Readers poll with the same few, so the latest ones are cached."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self._parse = lru_cache(maxsize=1_024)(self._parse_new)

    def read(self, connection: HTTPConnection) -> T:
        """The parameters; raises ``InvalidField``, also for unknown or repeated ones, or bad percent-encoding."""
        query_string: bytes = connection.scope["query_string"]
        return self._parse(query_string) if len(query_string) <= MAX_CACHED_QUERY_BYTES else self._parse_new(query_string)

    def _parse_new(self, query_string: bytes) -> T:
        values: dict[str, str] = {}
        for name, value in _pairs(query_string):
            if name in values:
                raise InvalidField(name, "must be given once")
            values[name] = value
        try:
            return msgspec.convert(values, self.kind, strict=False)
        except msgspec.ValidationError as error:
            raise invalid(error, self.kind, "query") from None


class NoParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """The query of an operation that takes no parameters."""


NO_PARAMETERS = Query(NoParameters)


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    """Names and values of a query string; raises ``InvalidField``."""
    try:
        text = query_string.decode("ascii")
        if "%" in text and _BAD_PERCENT.search(text):
            raise InvalidField("query", "must have two hexadecimal digits behind each %")
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidField("query", "must be UTF-8, percent-encoded") from None
