"""The history of figures: it is kept with the messages, and is for those who have the token."""

from typing import Any

import pytest
from calls import assert_problem, claim_next, post, queue, said

from conftest import StartServer
from servers import Server

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - the test's own


def points(server: Server, step: str = "minute") -> list[dict[str, Any]]:
    answer = server.http.get("/api/ops/history", params={"step": step}).raise_for_status()
    found: list[dict[str, Any]] = answer.json()["points"]
    return found


def total(server: Server, name: str, step: str = "minute") -> int:
    return sum(point[name] for point in points(server, step))


@pytest.mark.needs("durability")
@pytest.mark.needs("own connections")
def test_p1_figures_outlive_a_stop_and_a_kill(start_server: StartServer) -> None:
    """A server that stops sends its last report. A killed one loses what it had counted since its last one, and no more."""
    server = start_server()
    for _ in range(3):
        post(server)
    (held,) = claim_next(server)
    fence = {"messageId": held["id"], "workerId": "worker-1", "attempt": 1}
    said(queue(server, "complete", **fence, reply={"text": "Because."}))
    assert server.terminate() == 0
    server.start()
    for step in ("minute", "hour"):
        assert (total(server, "posts", step), total(server, "answers", step)) == (3, 1)
    post(server)
    server.kill()
    server.start()
    assert (total(server, "posts"), total(server, "answers")) == (3, 1)


@pytest.mark.one_deployment("who may call is decided before any object is asked")
def test_p8_it_needs_the_token(start_server: StartServer) -> None:
    server = start_server(bot_token=TOKEN)
    assert_problem(server.http.get("/api/ops/history"), 401, "Authorization")
    answer = server.http.get("/api/ops/history", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.json()["points"] == []


@pytest.mark.one_deployment("queries are read before any object is asked")
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("step=day", "step"),
        ("limit=0", "limit"),
        ("limit=1501", "limit"),
        ("since=-1", "since"),
        ("until=1", "until"),
        ("every=0", "every"),
        ("every=61", "every"),
    ],
)
def test_p8_a_query_that_is_not_understood_is_refused_by_its_name(server: Server, query: str, field: str) -> None:
    refused = server.http.get(f"/api/ops/history?{query}")
    assert_problem(refused, 422, field)
    assert refused.json()["field"] == field
