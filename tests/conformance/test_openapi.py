"""The interface describes itself: the OpenAPI document, the page that shows it, and the figures for Prometheus."""

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from calls import Json, a_post, claim_next, metric, post, said
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from servers import Server

pytestmark = pytest.mark.one_deployment("the document is the same for all")

BASE = "urn:openapi"
PROMISED = [
    ("post", "/api/comments"),
    ("get", "/api/comments"),
    ("get", "/api/queue/pending"),
    ("post", "/api/queue/claim"),
    ("post", "/api/queue/complete"),
    ("post", "/api/queue/extend"),
    ("post", "/api/queue/fail"),
    ("post", "/api/queue/retry"),
    ("post", "/api/queue/release"),
    ("post", "/api/queue/progress"),
    ("get", "/api/queue/messages"),
    ("get", "/api/queue/bots"),
    ("post", "/api/queue/batch"),
    ("get", "/api/entities"),
    ("get", "/api/stats"),
    ("get", "/metrics"),
    ("get", "/healthz"),
    ("get", "/readyz"),
]


@pytest.fixture(scope="module")
def document(server: Server) -> Json:
    described: Json = said(server.http.get("/api/openapi.json"))
    return described


def operations(document: Json) -> list[tuple[str, str, Json]]:
    return [(method, path, operation) for path, item in document["paths"].items() for method, operation in item.items()]


def assert_fits(document: Json, schema: Json, value: object) -> None:
    """``value`` is valid for ``schema``, a part of ``document``."""
    registry: Registry[Any] = Registry().with_resource(BASE, DRAFT202012.create_resource(document))
    Draft202012Validator(rebased(schema), registry=registry).validate(value)


def rebased(schema: Any) -> Any:
    """A copy of ``schema`` whose references name the document they are in."""
    if isinstance(schema, dict):
        return {name: BASE + value if name == "$ref" else rebased(value) for name, value in schema.items()}
    return [rebased(part) for part in schema] if isinstance(schema, list) else schema


def test_p8_the_document_is_openapi_3_1(document: Json) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]
    names = []
    for method, path, operation in operations(document):
        assert method in {"get", "post"}
        assert path.startswith("/")
        names.append(operation["operationId"])
        for parameter in operation.get("parameters", []):
            assert parameter["in"] in {"query", "header"}
            Draft202012Validator.check_schema(parameter["schema"])
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status)
            assert response["description"]
            for media in response.get("content", {}).values():
                Draft202012Validator.check_schema(media["schema"])
    assert len(names) == len(set(names))
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_p8_every_reference_in_the_document_resolves(document: Json) -> None:
    references = set(re.findall(r"'\$ref': '([^']*)'", repr(document)))
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


@pytest.mark.every_deployment
@pytest.mark.parametrize(("method", "path"), PROMISED)
def test_p8_every_promised_call_is_described_and_answers(server: Server, document: Json, method: str, path: str) -> None:
    operation = document["paths"][path][method]
    response = server.http.request(method, path, content=b"{}" if method == "post" else None)
    assert response.status_code == (422 if method == "post" else 200)
    assert str(response.status_code) in operation["responses"]


def test_p8_every_call_that_is_described_answers(server: Server, document: Json) -> None:
    for method, path, operation in operations(document):
        response = server.http.request(method, path, content=b"{" if method == "post" else None)
        websocket = "101" in operation["responses"]
        lacks_one = any(parameter.get("required") for parameter in operation.get("parameters", ()))
        assert response.status_code == (400 if method == "post" else 426 if websocket else 422 if lacks_one else 200)
        described = operation["responses"][str(response.status_code)]["content"]
        assert response.headers["content-type"].partition(";")[0] in described


@pytest.mark.every_deployment
def test_p8_bodies_and_answers_of_a_real_run_are_as_described(server: Server, document: Json) -> None:
    def check(method: str, path: str, body: Json | None = None, status: int = 200, key: str | None = None) -> Any:
        operation = document["paths"][path.partition("?")[0]][method]
        if body is not None and status == 200:
            assert_fits(document, operation["requestBody"]["content"]["application/json"]["schema"], body)
        headers = {} if key is None else {"Idempotency-Key": key}
        response = server.http.request(method, path, json=body, headers=headers)
        assert response.status_code == status, response.text
        media_type = response.headers["content-type"].partition(";")[0]
        answer = response.json()
        assert_fits(document, operation["responses"][str(status)]["content"][media_type]["schema"], answer)
        return answer

    entity = {"entity": "as-described", "priority": 7}
    first = check("post", "/api/comments", a_post(botParams=entity), key="as described")["id"]
    second = check("post", "/api/comments", a_post(botParams=entity))["id"]
    check("post", "/api/comments", a_post("A thought.", messageType="AI"))
    hold = {"workerId": "worker-1", "attempt": 1}
    check("post", "/api/queue/claim", {"workerId": "worker-1", "messageId": first})
    check("post", "/api/queue/claim", {"workerId": "worker-1", "entities": ["as-described"], "limit": 2, "wait": 0.5})
    check("post", "/api/queue/extend", hold | {"messageId": first})
    check("post", "/api/queue/complete", hold | {"messageId": first, "reply": {"text": "Yes.", "username": "Zen"}})
    check("post", "/api/queue/fail", hold | {"messageId": second, "error": "no words", "retry": False})
    check("post", "/api/queue/retry", {"messageId": second})
    check("post", "/api/queue/claim", {"workerId": "worker-1", "messageId": second})
    again = {"messageId": second, "workerId": "worker-1", "attempt": 2}
    check("post", "/api/queue/progress", again | {"state": "waking"})
    check("post", "/api/queue/progress", again | {"text": "Because"})
    check("post", "/api/queue/release", again)
    check("post", "/api/queue/claim", {"workerId": "worker-1", "messageId": second})
    again["attempt"] = 3
    check("post", "/api/queue/fail", again | {"error": "no words", "retry": False, "detail": "out of memory"})
    check("get", "/api/queue/messages?state=failed")
    check("post", "/api/queue/batch", {"action": "retry", "messageIds": [second]})
    check("post", "/api/moderation/hide", {"messageId": first, "reason": "rude", "name": True})
    check("get", f"/api/moderation/hidden?messageId={first}")
    check("get", "/original/api/comments?limit=10")
    check("post", "/api/moderation/restore", {"messageId": first})
    check("post", "/api/moderation/erase", {"messageId": first})
    check("get", "/api/comments")
    check("post", "/api/moderation/restore", {"messageId": first}, 409)
    check("get", f"/api/moderation/hidden?messageId={first}", status=409)
    check("post", "/api/queue/claim", {"workerId": "worker-2", "entities": ["none"], "personas": {"none": "0" * 16}})
    check("post", "/api/queue/claim", {"workerId": "worker-3", "entities": ["none"], "personas": {"none": "1" * 16}})
    lists = ("/api/comments", "/api/queue/pending", "/api/queue/messages", "/api/queue/bots", "/api/entities", "/api/stats")
    for path in (*lists, "/healthz", "/readyz"):
        check("get", path)
    check("post", "/api/comments", a_post(""), 422)
    check("post", "/api/queue/retry", {"messageId": second}, 409)
    check("post", "/api/queue/retry", {"messageId": "nosuchid00"}, 404)
    (held,) = claim_next(server, entities=["as-described"])
    assert_fits(document, {"$ref": "#/components/schemas/Message"}, held)


def test_p8_the_page_of_the_interface_loads_from_this_server_only(server: Server) -> None:
    page = server.http.get("/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    assets = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assert assets
    for asset in assets:
        assert not urlsplit(asset).netloc
        loaded = server.http.get(urljoin("/api/docs", asset))
        assert loaded.status_code == 200
        assert loaded.content
        if asset.endswith(".css"):
            outside = re.findall(r"""(?:url\(|@import)\s*["']?(https?:)?//""", loaded.text)
            assert not outside
    own_script = server.http.get("/api/docs/docs.js").text
    assert not re.search(r"https?://", own_script)
    assert "/api/openapi.json" in own_script


@pytest.mark.every_deployment
def test_p8_the_figures_are_prometheus_text(server: Server) -> None:
    post(server)
    families = list(text_string_to_metric_families(server.http.get("/metrics").text))
    assert len({family.name for family in families}) == len(families) > 20
    assert metric(server, "sww_http_requests_total", route="/api/comments", method="POST", status="200") >= 1
    assert metric(server, "sww_storage_commits_total") >= 1
