"""Errors are data: each one crosses a network, a file or a process and is the same error afterwards."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import durable_objects
import saywhatwant.errors as product
from durable_objects import DurableObjectError, ErrorRecord, EventsLost, Refusal
from durable_objects.errors import code_of
from durable_objects.simulated import Crashed
from saywhatwant.worker import problems

texts = st.text()
fields = st.dictionaries(
    st.text(min_size=1) | st.sampled_from(["detail", "self", "code", "fields"]),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
)


def subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    yield cls
    for subclass in cls.__subclasses__():
        yield from subclasses(subclass)


CLASSES = sorted(
    {cls for cls in subclasses(DurableObjectError) if cls.__module__.startswith(("durable_objects", "saywhatwant"))},
    key=lambda cls: cls.__qualname__,
)
"""All errors of both packages, which have been imported by now."""
MADE: list[DurableObjectError] = [
    product.UnknownMessage("messageId", "24spd5q8ti"),
    product.WrongState("the message is complete"),
    product.WrongState("no bot holds it", "replyTo"),
    product.AttemptRequired(3),
    product.IdTaken("24spd5q8ti"),
    product.NotHeld("24spd5q8ti"),
]
"""Refusals whose constructors take other arguments than their base class's."""
REFUSALS = [
    *MADE,
    *(cls("why") for cls in CLASSES if issubclass(cls, Refusal) and "__init__" not in vars(cls) and cls.__base__ is Refusal),
]
"""Each kind of refusal, made as the product makes it."""


def crossings(error: DurableObjectError) -> list[DurableObjectError]:
    """The error on the other side of a network, of a process, and of a copy."""
    record = msgspec.json.decode(msgspec.json.encode(error.record()), type=ErrorRecord)
    return [DurableObjectError.from_record(record), pickle.loads(pickle.dumps(error)), copy.copy(error)]  # noqa: S301 - our own


def assert_same(error: DurableObjectError, crossed: DurableObjectError) -> None:
    assert type(crossed) is type(error)
    assert (crossed.code, str(crossed), crossed.fields) == (error.code, str(error), error.fields)
    assert crossed.record() == error.record()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__qualname__)
@given(texts, fields)
def test_every_error_crosses_with_its_class_its_code_its_detail_and_its_fields(
    cls: type[DurableObjectError], detail: str, fields: dict[str, Any]
) -> None:
    record = ErrorRecord(cls.code, detail, fields)
    error = DurableObjectError.from_record(record)
    assert type(error) is cls
    assert error.record() == record
    for crossed in crossings(error):
        assert_same(error, crossed)


@pytest.mark.parametrize("error", REFUSALS, ids=repr)
def test_every_refusal_crosses_though_its_constructor_takes_other_arguments(error: DurableObjectError) -> None:
    for crossed in crossings(error):
        assert_same(error, crossed)


def test_the_list_of_refusals_in_this_file_is_complete() -> None:
    with_a_constructor = {cls for cls in CLASSES if issubclass(cls, Refusal) and "__init__" in vars(cls)}
    assert with_a_constructor == {type(error) for error in MADE}


def test_codes_are_unique_in_the_product_too_and_each_is_a_kind_of_problem() -> None:
    """Those of refusals by objects and of refusals before any object, since both become ``problem+json``."""
    codes = [cls.code for cls in [*CLASSES, *subclasses(product.RequestRefused)] if cls is not product.RequestRefused]
    assert sorted(codes) == sorted(set(codes))
    answered = {cls.code for cls in subclasses(product.RequestRefused) if cls is not product.RequestRefused}
    refusals = {error.code for error in REFUSALS} - {EventsLost.code}  # a listener's, never an answer
    assert answered | refusals <= set(problems.KINDS)


@pytest.mark.parametrize("error", [error for error in REFUSALS if not isinstance(error, EventsLost)], ids=repr)
def test_p8_a_problem_is_the_refusals_record(error: DurableObjectError) -> None:
    for known in [error, *crossings(error)]:
        response = problems.problem(known)
        shown = msgspec.json.decode(response.body)
        record = error.record()
        assert shown["type"] == f"urn:saywhatwant:problem:{record.code}"
        assert (shown["detail"], shown.get("field")) == (record.detail, record.fields.get("field"))
        assert shown["status"] == response.status_code == problems.KINDS[record.code].status


def test_p8_a_refusal_that_is_newer_than_the_worker_is_passed_on() -> None:
    response = problems.problem(DurableObjectError.from_record(ErrorRecord("too-late", "it is over", {"field": "text"})))
    assert response.status_code == 409
    assert msgspec.json.decode(response.body) == {
        "type": "urn:saywhatwant:problem:too-late",
        "title": "The call was refused",
        "status": 409,
        "detail": "it is over",
        "field": "text",
    }


def test_a_code_belongs_to_one_class() -> None:
    with pytest.raises(TypeError, match=r"durable_objects\.errors\.KeysFull already has the error code 'keys-full'"):
        type("KeysFull", (Refusal,), {})
    with pytest.raises(TypeError, match=r"durable_objects\.errors\.DataBusy already has the error code 'busy'"):
        type("Tired", (Refusal,), {}, code="busy")
    assert DurableObjectError.from_record(ErrorRecord("busy", "")).__class__ is durable_objects.DataBusy


@given(texts, fields)
def test_an_unknown_code_is_a_refusal_that_keeps_it(detail: str, fields: dict[str, Any]) -> None:
    """So that a gateway passes on what a newer object refuses."""
    record = ErrorRecord("of-a-newer-version", detail, fields)
    error = DurableObjectError.from_record(record)
    assert type(error) is Refusal
    assert error.record() == record
    for crossed in crossings(error):
        assert_same(error, crossed)
    assert Refusal.code == "refusal"


@pytest.mark.parametrize(
    ("name", "code"), [("KeysFull", "keys-full"), ("HTTPError", "http-error"), ("Http2Refused", "http2-refused"), ("No", "no")]
)
def test_a_code_is_the_name_of_its_class_in_kebab_case(name: str, code: str) -> None:
    assert code_of(type(name, (Exception,), {})) == code


def test_who_handles_an_unknown_outcome_handles_a_crash_too() -> None:
    assert issubclass(Crashed, durable_objects.OutcomeUnknown)


def test_a_field_that_no_network_carries_is_refused_where_the_error_is_made() -> None:
    with pytest.raises(TypeError, match="the field 'left' of Refusal is list; text, numbers, booleans and None are allowed"):
        Refusal("too much", left=[1])  # type: ignore[arg-type]
