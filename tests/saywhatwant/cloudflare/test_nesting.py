"""P8: JSON that would end the interpreter is refused before it is decoded, and no other JSON is."""

import json
from typing import Any

import pytest
from fake_platform import TOKEN, FakeSocket, Platform
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.cloudflare.nesting import MAX_DEPTH, Nesting
from saywhatwant.errors import MalformedBody
from scenario import run

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab"\\[]{}é'),
    lambda children: st.lists(children, max_size=9) | st.dictionaries(st.text('a"[{\\'), children, max_size=9),
    max_leaves=60,
)


def refuses(text: bytes, pieces: int = 1) -> bool:
    nesting, size = Nesting(), max(len(text) // pieces, 1)
    try:
        for begin in range(0, len(text), size):
            nesting.check(text[begin : begin + size])
    except MalformedBody:
        return True
    return False


@settings(max_examples=examples(200))
@given(value=json_values, around=st.integers(MAX_DEPTH - 9, MAX_DEPTH + 3), pieces=st.integers(1, 9))
def test_json_is_refused_when_it_is_nested_deeper_than_the_bound(value: Any, around: int, pieces: int) -> None:
    text = b"[" * around + json.dumps(value).encode() + b"]" * around
    assert refuses(text, pieces) == (around + depth(value) > MAX_DEPTH)


def depth(value: Any) -> int:
    match value:
        case list():
            return 1 + max(map(depth, value), default=0)
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
    return 0


def test_brackets_in_a_text_are_no_levels() -> None:
    assert not refuses(json.dumps({"text": '"[{\\' * 5_000}).encode(), pieces=7)
    assert not refuses(json.dumps([[]] * 5_000).encode())


@pytest.mark.parametrize("text", [b"[" * 10_000, b'{"a":' * 10_000, b'["' + b"]" * 500 + b'",' + b"[" * 500])
def test_it_need_not_be_complete(text: bytes) -> None:
    assert refuses(text)


@pytest.mark.parametrize("path", ["/api/comments", "/original/api/comments"])
def test_a_body_that_is_nested_too_deep_is_refused(path: str) -> None:
    async def scenario() -> None:
        platform = Platform()
        deep = b'{"text":1.0,"x":' + b"[" * 5_000
        answer = await platform.wall.fetch(platform.request("POST", path, [deep[:1_000], deep[1_000:]]))
        assert answer is not None
        assert (answer.status, b"nested too deep" in answer.body) == (400, True)

    run(scenario())


def test_a_bots_frame_that_is_nested_too_deep_is_refused() -> None:
    async def scenario() -> None:
        platform = Platform()
        request = platform.request("GET", "/api/queue/ws", upgrade="websocket", authorization=f"Bearer {TOKEN}")
        await platform.wall.fetch(request)
        assert isinstance(request.socket, FakeSocket)
        await platform.wall.socket_message(request.socket, '{"x":' * 5_000)
        (answer,) = request.socket.frames
        assert (answer["problem"]["status"], "nested too deep" in answer["problem"]["detail"]) == (400, True)
        assert request.socket.close_code is None

    run(scenario())
