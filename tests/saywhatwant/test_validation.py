"""Refusals are in plain English for any input (P8)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant import schemas
from saywhatwant.errors import InvalidField
from saywhatwant.validation import humanize
from saywhatwant.worker.problems import invalid

BODIES: list[type[Any]] = [
    schemas.PostRequest,
    schemas.ClaimRequest,
    schemas.CompleteRequest,
    schemas.ExtendRequest,
    schemas.FailRequest,
    schemas.ProgressRequest,
    schemas.RetryRequest,
    schemas.CircuitReport,
]
NAMES = sorted({field.encode_name for body in BODIES for field in msgspec.structs.fields(body)} | {"priority", "entity"})
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(-1e6, 1e6)
    | st.text(max_size=3)
    | st.just("x" * 20_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=9),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("Expected `int | null`, got `str`", "must be a whole number or null, not a text"),
        ("Expected `int | null`, got `float`", "must be a whole number or null, not a fraction"),
        ("Expected `object`, got `array`", "must be an object, not a list"),
        ("Expected `int` >= 0", "must be a whole number of at least 0"),
        ("Expected `float` <= 60.0", "must be a number of at most 60"),
        ("Expected `str` of length <= 128", "must have at most 128 characters"),
        ("Expected `str` of length >= 1", "must not be empty"),
        ("Expected `array` of length <= 64", "must have at most 64 entries"),
        ("Something new", "Something new"),
    ],
)
def test_p8_a_rule_is_stated_in_plain_english(rule: str, words: str) -> None:
    assert humanize(rule) == words


def test_p8_a_field_that_is_missing_further_in_is_named_with_its_path() -> None:
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.json.decode(b'{"messageId": "abcdefghi0", "reply": {}}', type=schemas.CompleteRequest)
    refusal = invalid(wrong.value, schemas.CompleteRequest, "body")
    assert (refusal.field, refusal.rule) == ("reply.text", "is required")


@settings(max_examples=examples(1_000))
@given(body=st.sampled_from(BODIES), sent=ODD)
def test_p8_no_refusal_of_a_body_speaks_the_decoders_language(body: type[Any], sent: object) -> None:
    refusal: InvalidField | None = None
    try:
        msgspec.json.decode(msgspec.json.encode(sent), type=body)
    except msgspec.ValidationError as error:
        refusal = invalid(error, body, "body")
    if refusal is not None:
        assert "`" not in str(refusal)
        assert "xpected" not in str(refusal)
