"""Helpers for the HTTP interface. Each but ``queue`` and ``answer`` expects its call to succeed."""

import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deployments import Deployment
from servers import Server, until

Json = dict[str, Any]


def said(response: httpx.Response) -> Any:
    """The body of a 200."""
    assert response.status_code == 200, response.text
    return response.json()


def a_post(text: str = "Why is space black?", **more: object) -> Json:
    """The JSON body of a post."""
    return {"text": text, "username": "Human", "color": "169080199"} | more


def post(server: Server, text: str = "Why is space black?", *, entity: str | None = None, priority: int = 50) -> Json:
    """Post a human message; returns the answer."""
    body = a_post(text, botParams={"entity": entity, "priority": priority})
    answer: Json = said(server.http.post("/api/comments", json=body))
    return answer


def post_many(server: Server, number: int, *, entity: str | None = None) -> None:
    """Post so many human messages, many at a time: no platform needs to wait for the disk for each one of them."""
    with ThreadPoolExecutor(32) as threads:
        list(threads.map(lambda each: post(server, f"message {each}", entity=entity), range(number)))


@contextmanager
def leaving(server: Server, deployment: Deployment, request: bytes) -> Iterator[None]:
    """A client that has sent this request, until the end of the block; then it goes away without waiting for the answer."""
    with socket.create_connection((server.http.base_url.host, server.http.base_url.port or 0)) as client:
        client.sendall(request)
        yield
        if "own connections" in deployment.lacks:  # workerd's own server looks for connections that break only
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer(server: Server, message_id: str, text: str = "It is not.", **more: object) -> httpx.Response:
    """Reply in two steps: an AI message now, ``complete`` later."""
    return server.http.post("/api/comments", json=a_post(text, messageType="AI", replyTo=message_id) | more)


def read(server: Server, **query: object) -> list[Json]:
    """The messages that match ``query``, of all pages."""
    response = server.http.get("/api/comments", params={name: str(value) for name, value in query.items()})
    messages: list[Json] = said(response)
    while "next" in response.links:
        response = server.http.get(response.links["next"]["url"])
        messages += said(response)
    return messages


def message(server: Server, message_id: str) -> Json:
    """One message as it stands now."""
    (found,) = [message for message in read(server) if message["id"] == message_id]
    return found


def params(server: Server, message_id: str) -> Json:
    """The ``botParams`` of one message as it stands now."""
    found: Json = message(server, message_id)["botParams"]
    return found


def queue(server: Server, call: str, **body: object) -> httpx.Response:
    """A queue call, successful or refused."""
    return server.http.post(f"/api/queue/{call}", json=body)


def claim(server: Server, message_id: str, worker: str = "worker-1") -> Json:
    """Claim one message."""
    claimed: Json = said(queue(server, "claim", messageId=message_id, workerId=worker))["message"]
    return claimed


def claim_next(server: Server, worker: str = "worker-1", **body: object) -> list[Json]:
    """Claim the next messages."""
    claimed: list[Json] = said(queue(server, "claim", workerId=worker, **body))["messages"]
    return claimed


def metric(server: Server, name: str, **labels: str) -> float:
    """A sample of /metrics; 0 when there is none."""
    response = server.http.get("/metrics")
    samples = (sample for family in text_string_to_metric_families(response.text) for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())


def until_waiting(server: Server, claims: int) -> None:
    """Return when this number of claims wait in their long poll."""
    until(lambda: metric(server, "sww_waiting_claims") == claims, f"{claims} waiting claims")


def assert_problem(response: httpx.Response, status: int, *names: str) -> None:
    """Check a refusal as P8 promises it: RFC 9457, with each of ``names`` in its field, rule or detail."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:saywhatwant:problem:")
    assert problem["title"]
    explanation = " ".join(str(problem.get(part, "")) for part in ("field", "rule", "detail"))
    for name in names:
        assert name in explanation, f"{name!r} is not in {explanation!r}"
    if status in {429, 503}:
        assert int(response.headers["retry-after"]) >= 1
