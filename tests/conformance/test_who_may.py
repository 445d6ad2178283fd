"""Who may do what: the bot token, pages of other sites, and how often one client may post."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from calls import a_post, answer, assert_problem, claim, post, read, said

from conftest import MakeServer, StartServer
from servers import SWW, Server, environment

pytestmark = pytest.mark.one_deployment("who may call is decided before any object is asked")

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - the test's own
CALLS = ("claim", "complete", "extend", "fail", "release", "progress", "retry", "batch", "circuit")
LISTS = ("/api/queue/pending", "/api/queue/messages", "/api/queue/bots", "/api/moderation", "/api/moderation/audit")
MODERATION = {
    "ban": {"username": "Nobody", "color": "000000000", "seconds": 1},
    "unban": {"banId": "0000000000"},
    "filter": {"phrase": "a phrase of nobody", "action": "hold"},
    "unfilter": {"phrase": "a phrase of nobody"},
    "slow": {"seconds": 0},
    "approve": {"messageId": "0000000000"},
    "reject": {"messageId": "0000000000"},
    "dismiss": {"messageId": "0000000000"},
}
FOREIGN = {"Origin": "https://elsewhere.example"}


@pytest.fixture(scope="module")
def guarded(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a token."""
    with make_server(tmp_path_factory.mktemp("guarded"), bot_token=TOKEN) as started:
        yield started


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_p8_a_server_that_others_can_reach_does_not_start_without_a_token(tmp_path: Path, bind: str) -> None:
    refused = subprocess.run(
        [SWW, "serve", "--bind", bind, "--data", tmp_path / "data"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert refused.returncode == 1
    assert bind in refused.stderr
    assert "SWW_BOT_TOKEN" in refused.stderr
    assert "ready on" not in refused.stderr
    assert not (tmp_path / "data").exists()


def test_p8_with_a_token_people_post_and_read_without_it(guarded: Server) -> None:
    posted = post(guarded)
    assert read(guarded, since=posted["timestamp"] - 1)[0]["id"] == posted["id"]
    assert said(guarded.http.get("/api/stats"))["backlog"] >= 1


def test_p8_urgent_priorities_need_the_token(guarded: Server, server: Server) -> None:
    def ask(wall: Server, priority: int, headers: dict[str, str] | None = None) -> httpx.Response:
        return wall.http.post("/api/comments", json=a_post(botParams={"priority": priority}), headers=headers)

    refused = ask(guarded, 4)
    assert_problem(refused, 422, "at least 5 without the bot token")
    assert refused.json()["field"] == "botParams.priority"
    assert said(ask(guarded, 5))["status"] == "success"
    assert said(ask(guarded, 0, {"Authorization": f"Bearer {TOKEN}"}))["status"] == "success"
    assert said(ask(server, 0))["status"] == "success", "with no token set everybody on this machine counts as having it"


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \u00e9"],
)
def test_p8_without_the_token_nobody_calls_the_queue_or_posts_as_ai(guarded: Server, authorization: str | None) -> None:
    posted = post(guarded)["id"]
    before = read(guarded)
    headers = [] if authorization is None else [(b"Authorization", authorization.encode("latin-1"))]
    hold = {"messageId": posted, "workerId": "worker-1", "attempt": 1, "error": "no"}
    refusals = [
        *(guarded.http.post(f"/api/queue/{call}", json=hold, headers=headers) for call in CALLS),
        *(guarded.http.post(f"/api/moderation/{call}", json=body, headers=headers) for call, body in MODERATION.items()),
        *(guarded.http.get(path, headers=headers) for path in LISTS),
        guarded.http.post("/api/comments", json=a_post(messageType="AI"), headers=headers),
        guarded.http.post("/api/comments", json=a_post(messageType="AI", replyTo=posted), headers=headers),
    ]
    for refusal in refusals:
        assert_problem(refusal, 401, "Bearer")
        assert refusal.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in refusal.text
    assert read(guarded) == before


def test_p8_anyone_reports_a_message_and_the_audit_log_names_who_looked_after_it(guarded: Server) -> None:
    posted = post(guarded)["id"]
    assert said(guarded.http.post("/api/report", json={"messageId": posted, "reason": "rude"})) == {"success": True}
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    said(guarded.http.post("/api/moderation/dismiss", json={"messageId": posted}, headers=bearer))
    (entry,) = said(guarded.http.get("/api/moderation/audit", headers=bearer))["entries"]
    assert (entry["by"], entry["action"], entry["about"]) == ("bot-token", "dismiss", posted)


@pytest.mark.every_deployment
def test_p8_with_the_token_bots_do_their_work(guarded: Server) -> None:
    posted = post(guarded, entity="with-the-token")
    bearer = {"Authorization": f"Bearer {TOKEN}"}

    def call(path: str, **body: object) -> object:
        return said(guarded.http.post(path, json=body, headers=bearer))

    assert len(said(guarded.http.get("/api/queue/pending?entity=with-the-token", headers=bearer))) == 1
    hold = {"messageId": posted["id"], "workerId": "worker-1"}
    call("/api/queue/claim", **hold)
    call("/api/comments", **a_post(messageType="AI", replyTo=posted["id"]))
    assert call("/api/queue/complete", **hold, attempt=1) == {"success": True}


def test_p8_without_a_token_pages_of_other_sites_do_not_call_the_queue(server: Server) -> None:
    """Any page in a browser on the same machine could; curl and bots send no Origin."""
    posted = post(server)["id"]
    before = read(server)
    hold = {"messageId": posted, "workerId": "worker-1", "attempt": 1, "error": "no"}
    for origin in ("https://elsewhere.example", "http://127.0.0.1:1", "null"):
        headers = {"Origin": origin}
        for call in CALLS:
            refused = server.http.post(f"/api/queue/{call}", json=hold, headers=headers)
            assert_problem(refused, 403, origin)
        for call, body in MODERATION.items():
            assert_problem(server.http.post(f"/api/moderation/{call}", json=body, headers=headers), 403, origin)
        assert_problem(server.http.post("/api/report", json={"messageId": posted}, headers=headers), 403, origin)
        for path in LISTS:
            assert_problem(server.http.get(path, headers=headers), 403, origin)
        assert_problem(server.http.post("/api/comments", json=a_post(messageType="AI"), headers=headers), 403, origin)
    assert read(server) == before


def test_p8_without_a_token_the_servers_own_pages_call_the_queue(server: Server) -> None:
    assert server.http.get("/api/queue/pending", headers={"Origin": server.url}).status_code == 200


def test_p8_posts_beyond_the_rate_are_refused_with_a_time_and_bots_are_not_counted(start_server: StartServer) -> None:
    server = start_server(rate_limit=5)
    posted = [post(server)["id"] for _ in range(5)]
    refused = server.http.post("/api/comments", json=a_post())
    assert_problem(refused, 429, "5 posts a minute")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    for message_id in posted:
        claim(server, message_id)
        assert said(answer(server, message_id))["status"] == "success"
    assert said(server.http.post("/api/comments", json=a_post(messageType="AI")))["status"] == "success"
    assert sum(message["messageType"] == "human" for message in read(server)) == 5


def test_p8_without_cors_origins_no_answer_names_any(server: Server) -> None:
    answers = [
        server.http.get("/api/comments", headers=FOREIGN),
        server.http.post("/api/comments", json=a_post(), headers=FOREIGN),
        server.http.options("/api/comments", headers=FOREIGN | {"Access-Control-Request-Method": "POST"}),
    ]
    for response in answers:
        assert not [name for name in response.headers if name.startswith("access-control-")]


def test_p8_with_cors_origins_those_and_no_others_are_allowed(start_server: StartServer) -> None:
    server = start_server(cors_origins="https://one.example, https://two.example")
    for origin in ("https://one.example", "https://two.example"):
        headers = {"Origin": origin}
        response = server.http.get("/api/comments", headers=headers)
        assert response.headers["access-control-allow-origin"] == origin
        assert "etag" in response.headers["access-control-expose-headers"].lower()
        preflight = server.http.options("/api/comments", headers=headers | {"Access-Control-Request-Method": "POST"})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == origin
        assert server.http.get("/api/queue/pending", headers=headers).status_code == 200
    response = server.http.get("/api/comments", headers=FOREIGN)
    assert "access-control-allow-origin" not in response.headers
    assert_problem(server.http.get("/api/queue/pending", headers=FOREIGN), 403)
    refused = server.http.options("/api/comments", headers=FOREIGN | {"Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in refused.headers
    assert_problem(refused, 400, "origin")
    original = server.http.options("/original/api/comments", headers=FOREIGN | {"Access-Control-Request-Method": "PATCH"})
    assert (original.status_code, original.headers["access-control-allow-origin"]) == (200, "*")


# -- Tokens by scope

OPERATORS = (
    ("POST", "/api/queue/retry", {"messageId": "0000000000"}),
    ("POST", "/api/queue/batch", {"action": "retry", "all": True}),
    ("GET", "/api/queue/bots", None),
    ("GET", "/metrics", None),
    ("GET", "/api/ops/session", None),
    ("GET", "/api/moderation", None),
    ("GET", "/api/moderation/audit", None),
    *(("POST", f"/api/moderation/{call}", body) for call, body in MODERATION.items()),
    ("GET", "/api/ops/history", None),
    *(("POST", f"/api/moderation/{call}", {"messageId": "0000000000"}) for call in ("hide", "restore", "erase")),
    ("GET", "/api/moderation/hidden?messageId=0000000000", None),
)
BOTS = tuple(
    ("POST", f"/api/queue/{call}", {"messageId": "0000000000", "workerId": "worker-1", "attempt": 1, "error": "no"})
    for call in CALLS
    if call not in {"retry", "batch"}
)


@pytest.fixture(scope="module")
def scoped(guarded: Server) -> dict[str, dict[str, str]]:
    """The headers of callers whose tokens have one scope each."""
    made = {
        scope: subprocess.run(
            [SWW, "token", "add", f"{scope}-only", "--scope", scope, "--data", guarded.data],
            cwd=guarded.directory,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for scope in ("bot", "operator")
    }
    return {scope: {"Authorization": f"Bearer {token}"} for scope, token in made.items()}


@pytest.mark.needs("own files")
@pytest.mark.parametrize(
    ("scope", "needed", "calls"), [("bot", "operator", OPERATORS), ("operator", "bot", BOTS)], ids=["bot", "operator"]
)
def test_p8_a_token_of_one_scope_is_refused_where_the_other_one_is_needed_by_its_name(
    guarded: Server, scoped: dict[str, dict[str, str]], scope: str, needed: str, calls: tuple[tuple[str, str, object], ...]
) -> None:
    for method, path, body in calls:
        refused = guarded.http.request(method, path, json=body, headers=scoped[scope])
        assert_problem(refused, 403, f"this needs a token with the scope {needed}")
        assert refused.json()["type"] == "urn:saywhatwant:problem:wrong-scope"
        accepted = guarded.http.request(method, path, json=body, headers=scoped[needed])
        assert accepted.status_code not in {401, 403}, (path, accepted.text)


@pytest.mark.needs("own files")
def test_p8_only_bots_answer_and_both_may_look_at_the_work(guarded: Server, scoped: dict[str, dict[str, str]]) -> None:
    answer_of = a_post(messageType="AI")
    assert_problem(guarded.http.post("/api/comments", json=answer_of, headers=scoped["operator"]), 403, "scope bot")
    assert said(guarded.http.post("/api/comments", json=answer_of, headers=scoped["bot"]))["status"] == "success"
    for path in ("/api/queue/pending", "/api/queue/messages"):
        assert {guarded.http.get(path, headers=headers).status_code for headers in scoped.values()} == {200}
    assert "circuits" in said(guarded.http.get("/api/stats", headers=scoped["operator"]))
    assert "circuits" not in said(guarded.http.get("/api/stats", headers=scoped["bot"]))


@pytest.mark.needs("own files")
def test_p8_an_operator_signs_in_with_a_browser_and_out_again(guarded: Server, scoped: dict[str, dict[str, str]]) -> None:
    token = scoped["operator"]["Authorization"].removeprefix("Bearer ")
    own = {"Origin": guarded.url}
    assert_problem(guarded.http.post("/api/ops/sign-in", json={"token": "wrong"}, headers=own), 401)
    assert_problem(guarded.http.post("/api/ops/sign-in", json={"token": token}, headers=FOREIGN), 403)
    with httpx.Client(base_url=guarded.url, trust_env=False) as browser:
        assert_problem(browser.get("/api/ops/session"), 401)
        signed_in = browser.post("/api/ops/sign-in", json={"token": token}, headers=own)
        assert said(signed_in) == {"success": True}
        assert {"HttpOnly", "SameSite=Strict"} <= set(signed_in.headers["set-cookie"].split("; "))
        assert said(browser.get("/api/ops/session")) == {"name": "operator-only", "scopes": ["operator"], "mayChange": True}
        retry = {"messageId": "0000000000"}
        assert_problem(browser.post("/api/queue/retry", json=retry, headers=FOREIGN), 403, "elsewhere.example")
        assert_problem(browser.post("/api/queue/retry", json=retry), 403, "own pages")
        assert_problem(browser.post("/api/queue/retry", json=retry, headers=own), 404)
        assert said(browser.post("/api/ops/sign-out", json={}, headers=own)) == {"success": True}
        assert_problem(browser.get("/api/ops/session"), 401)


def test_p8_without_a_token_the_page_of_operators_looks_on(server: Server) -> None:
    own = {"Origin": server.url}
    assert said(server.http.get("/api/ops/session", headers=own)) == {
        "name": "local",
        "scopes": ["bot", "operator"],
        "mayChange": False,
    }
    retry = {"messageId": "0000000000"}
    assert_problem(server.http.post("/api/queue/retry", json=retry, headers=own), 401, "sww token add")
    assert_problem(server.http.post("/api/queue/retry", json=retry), 404)
