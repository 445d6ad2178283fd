"""How the page handles responses of the server, and of others that answer instead, such as login pages."""

import pytest
from page_browser import MESSAGES, OUTBOX, Json, Modules, Visit, expect_same_wall, expect_state, newest, on_wall, post, write
from page_poller import STEP_MS, Poller
from playwright.sync_api import Route, expect

from servers import Server

pytest_plugins = ["page_fixtures"]

POST = """async ({ post, CallFailed }, { status, headers, body }) => {
  window.fetch = async () => new Response(body, { status, headers });
  const entry = { key: "key", text: "text", username: "Human", color: "001002003", entity: "" };
  try {
    return { posted: await post(entry) };
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    const { message, permanent, retryAfterMs } = error;
    return { message, permanent, retryAfterMs };
  }
}"""
LIST = """async ({ latest, CallFailed }, { headers, body }) => {
  window.fetch = async () => new Response(body, { status: 200, headers });
  const page = await latest(2).catch((error) => ({ failed: error instanceof CallFailed && !error.permanent }));
  return page.failed ?? [page.messages.length, page.token, page.more];
}"""
MESSAGE = (
    '{"id":"m1","timestamp":1,"text":"","username":"","color":"","messageType":"human","replyTo":null,"seq":1,'
    '"botParams":{"status":"pending"}}'
).replace('"m1"', '"aaaa"')


def posted(modules: Modules, status: int, body: str, **headers: str) -> Json:
    """What ``post`` makes of a response."""
    outcome: Json = modules.run("api.js", POST, {"status": status, "headers": headers, "body": body})
    return outcome


def test_the_servers_own_answer_to_a_post_is_taken(modules: Modules) -> None:
    outcome = posted(modules, 200, '{"id":"24spd5q8ti","timestamp":1762025642726,"status":"success"}')

    assert outcome == {"posted": {"id": "24spd5q8ti", "timestamp": 1762025642726, "status": "success"}}


OTHERS = (
    "{}",
    "[]",
    "null",
    "42",
    "<!doctype html><title>Log in</title>",
    "",
    '{"status":"success"}',
    '{"id":"24spd5q8ti","timestamp":1762025642726}',
    '{"id":"24spd5q8ti","timestamp":1762025642726,"status":"ok"}',
    '{"id":"24spd5q8ti","timestamp":"now","status":"success"}',
    '{"id":"24spd5q8ti","status":"success"}',
    '{"id":"","timestamp":1762025642726,"status":"success"}',
    '{"id":"abc","timestamp":1762025642726,"status":"success"}',
    '{"id":"UPPER-CASE","timestamp":1762025642726,"status":"success"}',
    '{"id":7,"timestamp":1762025642726,"status":"success"}',
    '{"id":["24spd5q8ti"],"timestamp":1762025642726,"status":"success"}',
)


@pytest.mark.parametrize("body", OTHERS)
def test_p7_a_200_that_is_not_the_servers_answer_counts_as_no_answer(body: str, modules: Modules) -> None:
    outcome = posted(modules, 200, body)

    assert outcome["permanent"] is False
    assert "something else answered" in outcome["message"]


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("text", "your message must be kinder"),
        ("username", "your name must be kinder"),
        ("color", "your color must be kinder"),
        ("botParams.entity", "the addressee must be kinder"),
        ("botParams.mood", "botParams.mood must be kinder"),
    ],
)
def test_p8_a_refusal_names_the_field_in_the_words_of_the_form(field: str, sentence: str, modules: Modules) -> None:
    problem = f'{{"type":"urn:x","title":"T","status":422,"detail":"D","field":"{field}","rule":"must be kinder"}}'

    assert posted(modules, 422, problem) == {"message": sentence, "permanent": True, "retryAfterMs": None}


@pytest.mark.parametrize(
    ("asked", "waited"), [("2", 2_000), ("0", 0), ("9999999", 300_000), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
)
def test_p7_a_refusal_may_ask_for_a_pause_of_some_minutes_at_most(asked: str, waited: int | None, modules: Modules) -> None:
    """A timer of more than 24 days ends at once: the post would be repeated without any pause."""
    assert posted(modules, 503, "", **{"Retry-After": asked})["retryAfterMs"] == waited


@pytest.mark.parametrize(
    ("status", "body", "message", "permanent"),
    [
        (
            403,
            '{"title":"Not here","detail":"pages of http://a.example may not post"}',
            "pages of http://a.example may not post",
            True,
        ),
        (404, '{"title":"Not found"}', "Not found", True),
        (413, "<h1>Too large</h1>", "the server answered with status 413", True),
        (429, '{"detail":"at most 2 posts a minute"}', "at most 2 posts a minute", False),
        (500, "", "the server answered with status 500", False),
        (503, '{"detail":"too much work is waiting"}', "too much work is waiting", False),
    ],
)
def test_p8_a_refusal_gives_the_servers_reason(
    status: int,
    body: str,
    message: str,
    permanent: bool,  # noqa: FBT001 - it is the parameter
    modules: Modules,
) -> None:
    outcome = posted(modules, status, body, **{"Retry-After": "2"})

    assert outcome == {"message": message, "permanent": permanent, "retryAfterMs": 2_000}


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"ETag": '"7"'}, f"[{MESSAGE}]", [1, "7", False]),
        ({"ETag": 'W/"7-gzip"'}, f"[{MESSAGE},{MESSAGE}]", [2, "7", True]),
        ({"ETag": '"0_7-12_3"'}, f"[{MESSAGE}]", [1, "0_7-12_3", False]),
        ({"Link": '</api/comments?changedAfter=0_7-12_3>; rel="next"'}, f"[{MESSAGE}]", [1, "0_7-12_3", True]),
        ({"Link": '</api/comments?before=1>; rel="next"'}, f"[{MESSAGE}]", [1, None, True]),
        ({}, "{}", True),
        ({}, '[{"id":"aaaa"}]', True),
        ({}, f'{{"messages":[{MESSAGE}]}}', True),
        ({}, "<!doctype html>", True),
    ],
)
def test_a_page_of_messages_is_read_and_anything_else_is_a_failure(
    headers: dict[str, str], body: str, expected: object, modules: Modules
) -> None:
    assert modules.run("api.js", LIST, {"headers": headers, "body": body}) == expected


def test_p7_a_post_that_something_else_answered_stays_and_is_sent_again(server: Server, visit: Visit) -> None:
    since = newest(server)
    visitor = visit(server)
    poller = Poller(visitor)
    page = poller.page
    page.route("**/api/comments", lambda route: route.fulfill(status=200, json={}), times=1)

    write(page, "Hello?")

    expect(page.locator(f"{OUTBOX}[data-status=queued]")).to_contain_text("something else answered")
    assert on_wall(server, since) == []
    poller.pass_time(5_000)
    expect(page.locator(OUTBOX)).to_have_count(0)
    expect(page.locator(MESSAGES, has_text="Hello?")).to_have_count(1)
    expect_same_wall(page, server)
    assert len(visitor.keys()) == 2
    assert len(set(visitor.keys())) == 1


def test_a_page_whose_polls_something_else_answers_is_offline_until_the_server_does(server: Server, visit: Visit) -> None:
    poller = Poller(visit(server))
    page = poller.page

    def answer(route: Route) -> None:
        route.fulfill(status=200, json={"messages": []})

    page.route("**/api/comments?*", answer)
    poller.until_state("offline")
    page.unroute("**/api/comments?*", answer)
    latest = post(server, "The server again")
    poller.until_state("polling")

    expect_state(page, "polling")
    poller.pass_time(STEP_MS)
    expect(page.locator(f"{MESSAGES}[data-id='{latest}']")).to_be_attached()
