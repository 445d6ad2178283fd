"""One HTTP connection that is kept open, with as little work for the client as possible."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, Self
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_LAST = re.compile(rb"connection: close", re.IGNORECASE)


class Answer(NamedTuple):
    """What a request got."""

    status: int
    body: bytes


class HttpConnection:
    """For one request at a time. Its calls raise ``OSError`` and ``EOFError`` when the connection ends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._is_last = False

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Open one to the server of ``url``."""
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        """One until the end of the block."""
        connection = await cls.connect(url)
        try:
            yield connection
        finally:
            connection.end()

    @property
    def goes_on(self) -> bool:
        """Whether the server has neither ended it nor announced that it will."""
        return not (self._is_last or self._reader.at_eof() or self._writer.is_closing())

    async def request(self, method: str, target: str, body: bytes = b"", header: str = "") -> Answer:
        """Send a request, with further header lines that each end with CRLF, and return its answer."""
        lines = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{header}\r\n"
        self._writer.write(lines.encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        self._is_last = _LAST.search(head) is not None
        return Answer(int(head.split(b" ", 2)[1]), await self._reader.readexactly(int(found[1]) if found else 0))

    async def post(self, path: str, body: bytes) -> bytes:
        """The body of the answer, which must be a 200."""
        answer = await self.request("POST", path, body)
        if answer.status != 200:
            raise AssertionError(f"{path}: {answer.status} {answer.body.decode()}")
        return answer.body

    def end(self) -> None:
        """Close it at once."""
        self._writer.transport.abort()
