"""Refusals as problems: each has its kind, and no internals are shown (P8)."""

import asyncio
import json
import logging
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from durable_objects import CommitFailed, DataBusy, ObjectFailed, OutcomeUnknown, Overloaded, Refusal, RuntimeClosed
from durable_objects.simulated import SimulatedRuntime
from saywhatwant import errors
from saywhatwant.queue import MessageQueue
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from saywhatwant.worker.problems import _ALL_KINDS, KINDS, problem

SECRET = "sesame"  # noqa: S105 - must not appear


def family(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(member for child in kind.__subclasses__() for member in family(child))]


REFUSALS = sorted(
    {*family(Refusal), *family(errors.RequestRefused)} - {Refusal, errors.RequestRefused}, key=lambda kind: kind.__name__
)
REFUSALS = [kind for kind in REFUSALS if kind.__module__.startswith("saywhatwant.")]
ARGUMENTS: dict[type[Exception], tuple[object, ...]] = {
    errors.InvalidField: ("text", "must be there"),
    errors.UnknownMessage: ("messageId", "abcdefghi0"),
    errors.TooManyPosts: (5, 30),
    errors.TooManyReports: (5, 30),
    errors.SlowMode: (30, 20),
    errors.Banned: ("from here", "tomorrow"),
    errors.WordNotAllowed: ("text", "spam"),
    errors.TooManySignIns: (10, 30),
    errors.WrongScope: ("operator", "night-bot", ["bot"]),
    errors.NoSuchPath: (),
    errors.MethodNotAllowed: ("GET, HEAD",),
}


def body_of(response: Response) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bytes(response.body))
    return body


def test_p8_there_are_refusals_to_look_at() -> None:
    assert errors.InvalidField in REFUSALS
    assert len(REFUSALS) >= 13


@pytest.mark.parametrize("kind", REFUSALS)
def test_p8_every_refusal_of_the_product_has_its_kind_of_problem(kind: type[Any]) -> None:
    assert kind.code in KINDS
    error = kind(*ARGUMENTS.get(kind, ("the reason",)))
    response = problem(error)
    body = body_of(response)
    assert response.media_type == "application/problem+json"
    assert 400 <= response.status_code < 600
    assert response.status_code != 500
    assert body["status"] == response.status_code
    assert body["type"] == f"urn:saywhatwant:problem:{kind.code}"
    assert body["title"]
    assert body["detail"] == str(error)


def test_p8_no_two_kinds_share_a_name() -> None:
    assert len(KINDS) == len(_ALL_KINDS)


TEMPORARY = (
    CommitFailed,
    OutcomeUnknown,
    DataBusy,
    Overloaded,
    RuntimeClosed,
    errors.BacklogFull,
    errors.TooManyWaiting,
)


@pytest.mark.parametrize("kind", TEMPORARY)
def test_p6_a_temporary_refusal_has_retry_after(kind: type[Exception]) -> None:
    response = problem(kind("not now"))
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1


def test_p7_an_unknown_outcome_is_a_kind_of_its_own() -> None:
    """To a client both are the same: it repeats the request with its key."""
    bodies = [
        body_of(problem(error)) for error in (CommitFailed("no room"), OutcomeUnknown("whether it is written is unknown"))
    ]
    assert [body["type"] for body in bodies] == [
        "urn:saywhatwant:problem:not-written",
        "urn:saywhatwant:problem:outcome-unknown",
    ]
    assert [body["status"] for body in bodies] == [503, 503]
    assert [body["detail"] for body in bodies] == ["no room", "whether it is written is unknown"]


def test_p8_too_many_posts_are_refused_with_a_time_to_wait() -> None:
    response = problem(errors.TooManyPosts(5, 30))
    assert (response.status_code, response.headers["retry-after"]) == (429, "30")


def test_p8_an_invalid_field_is_refused_with_its_rule() -> None:
    body = body_of(problem(errors.InvalidField("text", "must be there")))
    assert (body["field"], body["rule"]) == ("text", "must be there")


@pytest.mark.parametrize(
    "error", [ValueError(SECRET), ObjectFailed(SECRET), KeyError(SECRET), type("New", (Refusal,), {})(SECRET)]
)
def test_p8_the_unexpected_is_a_500_that_hides_its_text(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = problem(error)
    assert response.status_code == 500
    assert response.media_type == "application/problem+json"
    assert SECRET not in bytes(response.body).decode()
    assert SECRET in caplog.text


def test_p8_a_method_that_is_not_allowed_is_refused_with_those_that_are() -> None:
    response = problem(errors.MethodNotAllowed("GET, HEAD"))
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.usefixtures("no_settings")
def test_p8_a_defect_in_the_object_is_a_500_and_the_next_call_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """End to end: the object fails, is rebuilt, and the caller learns nothing of the inside."""

    def stats(*_: object) -> None:
        raise ZeroDivisionError(SECRET)

    async def scenario() -> None:
        transport = httpx.ASGITransport(create_worker(SimulatedRuntime(), load()).app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            with monkeypatch.context() as patch:
                patch.setattr(MessageQueue, "stats", stats)
                failed = await http.get("/api/stats")
            assert failed.status_code == 500
            assert failed.headers["content-type"] == "application/problem+json"
            assert SECRET not in failed.text
            assert (await http.get("/api/stats")).status_code == 200

    asyncio.run(scenario())
