"""The encoded message (section 2), and the rules for text (P8)."""

import re
import unicodedata
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.errors import InvalidField
from saywhatwant.limits import MAX_USERNAME
from saywhatwant.message import (
    TEXT_PATTERN,
    USERNAME_PATTERN,
    Alias,
    BotParams,
    Color,
    Entity,
    Id,
    Message,
    Priority,
    SessionId,
    TailedColor,
    clean_text,
    clean_username,
    decode,
    encode,
)

ANY_CHARACTER = st.characters(exclude_categories=[])
"""Surrogates, too: JSON can carry them."""
ANY_TEXT = st.text(ANY_CHARACTER, max_size=60)
PLAIN_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
MAX_TEXT = 40
HARMFUL = {"Cc", "Cs"}


@settings(max_examples=examples(300))
@given(text=ANY_TEXT)
def test_p8_clean_text_is_trimmed_bounded_and_without_control_characters(text: str) -> None:
    trimmed = text.strip()
    harmless = all(char in "\t\n\r" or unicodedata.category(char) not in HARMFUL for char in trimmed)
    if 1 <= len(trimmed) <= MAX_TEXT and harmless:
        assert clean_text(text, MAX_TEXT) == trimmed
        assert clean_text(trimmed, MAX_TEXT) == trimmed
    else:
        with pytest.raises(InvalidField) as refusal:
            clean_text(text, MAX_TEXT, "reply.text")
        assert refusal.value.field == "reply.text"
        assert refusal.value.rule


@settings(max_examples=examples(300))
@given(username=ANY_TEXT)
def test_p8_a_clean_username_is_one_trimmed_line_without_control_characters(username: str) -> None:
    trimmed = username.strip()
    harmless = all(unicodedata.category(char) not in HARMFUL | {"Zl", "Zp"} for char in trimmed)
    if 1 <= len(trimmed) <= MAX_USERNAME and harmless:
        assert clean_username(username) == trimmed
    else:
        with pytest.raises(InvalidField) as refusal:
            clean_username(username)
        assert refusal.value.field == "username"


@pytest.mark.parametrize("clean", [lambda text: clean_text(text, 5_000), clean_username])
@pytest.mark.parametrize("char", ["\x00", "\x1b", "\x7f", "\x9b", chr(0xD800), chr(0xDFFF)])
def test_p8_no_nul_escape_or_half_character_gets_in(clean: Callable[[str], str], char: str) -> None:
    with pytest.raises(InvalidField, match="control characters"):
        clean(f"a{char}b")


@pytest.mark.parametrize("char", ["\n", "\r", "\t", "\x85", "\u2028", "\u2029"])
def test_p8_a_username_has_no_second_line(char: str) -> None:
    with pytest.raises(InvalidField, match="line breaks"):
        clean_username(f"a{char}b")


@pytest.mark.parametrize(("clean", "most"), [(lambda text: clean_text(text, 5_000), 5_000), (clean_username, 32)])
def test_p8_the_bounds_of_a_text_are_met_exactly(clean: Callable[[str], str], most: int) -> None:
    assert clean(" " + "\U0001f30c" * most + "\n") == "\U0001f30c" * most
    for text in ("x" * (most + 1), "", " \t\n"):
        with pytest.raises(InvalidField, match=f"1 to {most} characters"):
            clean(text)


@pytest.mark.parametrize(
    ("pattern", "most", "clean"),
    [(TEXT_PATTERN, 60, lambda text: clean_text(text, 60)), (USERNAME_PATTERN, MAX_USERNAME, clean_username)],
)
@settings(max_examples=examples(300))
@given(text=PLAIN_TEXT | st.text("a \t\n\x0b\x1c\x85\u2028", max_size=35))
def test_p8_the_schema_takes_the_texts_that_the_server_takes(
    pattern: str, most: int, clean: Callable[[str], str], text: str
) -> None:
    fits = re.search(pattern, text) is not None and len(text.strip()) <= most
    try:
        clean(text)
    except InvalidField:
        assert not fits
    else:
        assert fits


TIMES = st.none() | st.integers(0, 2**50)
MESSAGES = st.builds(
    Message,
    id=st.from_regex(r"[a-z0-9]{10}", fullmatch=True),
    timestamp=st.integers(0, 2**50),
    text=PLAIN_TEXT,
    username=PLAIN_TEXT,
    color=st.sampled_from(["000000000", "169080199", "255255255"]),
    message_type=st.sampled_from(["human", "AI"]),
    reply_to=st.none() | st.from_regex(r"[a-z0-9]{10}", fullmatch=True),
    seq=st.integers(0, 2**50),
    bot_params=st.builds(
        BotParams,
        status=st.sampled_from(["pending", "processing", "complete", "failed"]),
        priority=st.integers(0, 99),
        entity=st.none() | st.sampled_from(["fear-and-loathing", "joy"]),
        claimed_by=st.none() | PLAIN_TEXT,
        claimed_at=TIMES,
        completed_at=TIMES,
        attempt=st.integers(0, 9),
        tries=st.integers(0, 9),
        lease_expires_at=TIMES,
        retry_at=TIMES,
        error=st.none() | PLAIN_TEXT,
        answered_by=st.none() | st.from_regex(r"[a-z0-9]{10}", fullmatch=True),
        answered_at=TIMES,
    ),
)


@given(message=MESSAGES)
def test_p1_a_message_comes_back_from_its_bytes_with_the_names_that_clients_know(message: Message) -> None:
    encoded = encode(message)
    assert decode(encoded) == message
    fields = msgspec.json.decode(encoded)
    assert fields.keys() >= {
        "id", "timestamp", "text", "username", "color", "messageType", "replyTo", "botParams",
    }  # fmt: skip
    assert fields["botParams"].keys() >= {"status", "priority", "entity", "claimedBy", "claimedAt", "completedAt"}
    assert "processed" not in fields.keys() | fields["botParams"].keys()


def test_p1_the_message_of_the_specification_is_read_and_written_unchanged() -> None:
    specified = {
        "id": "24spd5q8ti",
        "timestamp": 1762025642726,
        "text": "Why is space black?",
        "username": "Human",
        "color": "169080199",
        "messageType": "human",
        "replyTo": None,
        "botParams": {
            "status": "pending",
            "priority": 5,
            "entity": "fear-and-loathing",
            "claimedBy": None,
            "claimedAt": None,
            "completedAt": None,
        },
    }
    written = msgspec.json.decode(encode(decode(msgspec.json.encode(specified))))
    params = written.pop("botParams")
    wanted = specified.pop("botParams")
    assert isinstance(wanted, dict)
    assert written | specified == written
    assert params | wanted == params


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Id, ["24spd5q8ti", "abcd", "a" * 32], ["", "abc", "a" * 33, "24SPD5Q8TI", "24spd5q8t\n", "24spd5q8ti\n"]),
        (TailedColor, ["169080199", "169080199-Ab3dE5gH1j"], ["169080199-", "169080199-short", "169080199-Ab3dE5gH1j\n"]),
        (
            Alias,
            ["MyAI:255069000", "My AI:random", "A:169080199-Ab3dE5gH1j"],
            ["MyAI", ":255069000", "A:B:random", "A:256000000"],
        ),
        (SessionId, ["a", "x" * 64], ["", "a b", "x" * 65, "a\n"]),
        (Color, ["000000000", "169080199", "255255255"], ["256000000", "000000999", "12345678", "1690801990", "16908019x"]),
        (Color, ["199249255"], ["260000000", "300000000", "\u0661\u0666\u0669080199", "169080199\n"]),
        (Entity, ["fear-and-loathing", "a", "9" * 64], ["", "a" * 65, "Fear", "a b", "a_b", "a\n"]),
        (Priority, [0, 99], [-1, 100, 1.5, "5", True]),
    ],
)
def test_p8_fields_take_what_the_specification_allows_and_nothing_else(
    kind: type, good: list[object], bad: list[object]
) -> None:
    for value in good:
        assert msgspec.convert(value, kind) == value
    for value in bad:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(value, kind)
