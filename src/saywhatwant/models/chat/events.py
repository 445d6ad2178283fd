"""The server-sent events of a provider's answer, as servers and gateways really send them.

httpx2's ``EventSource`` (from httpx-sse) parses them by the standard. The openai package's own reader fails on events without
data, such as an ``id:`` or a keep-alive between two chunks (openai-python issues 2722 and 3833), so its streams are not used.
"""

from collections.abc import AsyncIterator

import httpx2

from saywhatwant.models.chat.failures import NotAnAnswer

MAX_LINE_BYTES = 1024 * 1024
"""A longer line is not part of an answer."""
_BOM = b"\xef\xbb\xbf"
_ENDS = (b"\n", b"\r")


async def events(chunks: AsyncIterator[bytes], request: httpx2.Request) -> AsyncIterator[httpx2.ServerSentEvent]:
    """The events that have data; comments, ids and empty events are skipped. Raises ``NotAnAnswer`` for an endless line."""
    body = httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, content=_mended(chunks), request=request)
    try:
        async for event in httpx2.EventSource(body):
            if event.data.strip():
                yield event
    except httpx2.SSEError:
        raise NotAnAnswer("answered with something that cannot be read") from None


async def _mended(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The lines of a stream, with what some servers get wrong put right."""
    rest, begun = b"", False
    async for chunk in chunks:
        rest += chunk
        if not begun and len(rest) >= len(_BOM):
            rest, begun = rest.removeprefix(_BOM), True
        lines = rest.splitlines(keepends=True)
        rest = lines.pop() if lines and not lines[-1].endswith(_ENDS) else b""
        if len(rest) > MAX_LINE_BYTES:
            raise NotAnAnswer("answered with something that cannot be read")
        if lines:
            yield b"".join(map(_mended_line, lines))
    # The last event may lack the empty line that ends it.
    yield _mended_line(rest) + b"\n\n"


def _mended_line(line: bytes) -> bytes:
    if line.startswith(b"error:"):  # llama.cpp before autumn 2025: an event's name in place of "data"
        return b"event: error\ndata:" + line.removeprefix(b"error:")
    if line.startswith(b"{"):  # Ollama writes an error that happens midway as a bare line of JSON
        return b"data: " + line.rstrip() + b"\n\n"
    return line
