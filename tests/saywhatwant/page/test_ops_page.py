"""The operators' page at /ops: what it shows, who may do what, and each action."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_browser import REFUSED, Json, Visit, claim, post_to, queue
from playwright.sync_api import Page, expect
from provider import Provider
from websockets.sync.client import connect

from conftest import StartServer
from servers import SWW, Server, environment

pytest_plugins = ["page_fixtures"]

OPERATOR_SECONDS = {"a killed bot": 15, "a dead provider": 30}
"""How soon the page shows it, by the server's clock."""


def token(server: Server, name: str = "alice", scope: str = "operator") -> str:
    command = [str(SWW), "token", "add", name, "--scope", scope, "--data", str(server.data)]
    done = subprocess.run(command, env=environment(), cwd=server.directory, capture_output=True, text=True, check=True)
    return str(done.stdout.strip())


SIGNED_OUT = (*REFUSED, "WebSocket connection to ")
"""What the console reports of calls and sockets that are on their way when an operator is signed out, or not yet signed in."""


def open_ops(visit: Visit, server: Server, given: str | None = None, **options: Any) -> Page:
    """The page, signed in with a token if one is given."""
    visitor = visit(server, **options)
    page = visitor.tab()
    if given is not None:
        visitor.expect_errors(*SIGNED_OUT)
    page.goto("/ops")
    if given is not None:
        page.get_by_label("Token of an operator").fill(given)
        page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    return page


def notice(page: Page, words: str | re.Pattern[str]) -> Any:
    return page.locator("#notices li").filter(has_text=words)


def failed(server: Server, entity: str = "zen", reason: str = "no words", **more: object) -> str:
    message_id = post_to(server, entity)
    queue(server, "fail", message_id, attempt=claim(server, message_id), error=reason, retry=False, **more)
    return message_id


def guarded_calls(server: Server, given: str) -> None:
    """The helpers of these tests call as this token's owner from now on."""
    server.http.headers["Authorization"] = f"Bearer {given}"


@contextmanager
def bot(server: Server, *options: str, entities: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    if entities is not None:
        (server.directory / "bot-entities.toml").write_text(entities)
        options = (*options, "--entities", "bot-entities.toml")
    process = subprocess.Popen(
        [str(SWW), "bot", "--url", server.url, *options],
        cwd=server.directory,
        env=environment() | {"OPENAI_API_KEY": "sk-a-key"},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# -- Who may


def test_p8_without_a_token_the_page_looks_on_and_offers_no_action(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    failed(server)
    page = open_ops(visit, server)
    expect(page.locator("#read-only")).to_be_visible()
    expect(page.locator("#messages li")).to_have_count(1)
    expect(page.get_by_role("button", name=re.compile("Retry|Discard|Fail"))).to_have_count(0)
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_p8_an_operator_signs_in_stays_so_after_a_reload_and_signs_out(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    alice, night_bot = token(server), token(server, "night-bot", "bot")
    visitor = visit(server)
    visitor.expect_errors(*SIGNED_OUT)
    page = visitor.tab()
    page.goto("/ops")
    expect(page.locator("#board")).to_be_hidden()
    for wrong, words in (("wrong", "no token that is good here"), (night_bot, "needs a token with the scope operator")):
        page.get_by_label("Token of an operator").fill(wrong)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text(words)
    page.get_by_label("Token of an operator").fill(alice)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#who")).to_contain_text("Signed in as alice")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    page.reload()
    expect(page.locator("#who")).to_contain_text("Signed in as alice")
    kept = page.evaluate("({ ...localStorage, ...sessionStorage, cookie: document.cookie })")
    assert alice not in page.content() + json.dumps(kept)
    assert kept["cookie"] == "", "scripts do not see it"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token of an operator")).to_be_visible()
    expect(page.locator("#board")).to_be_hidden()
    page.reload()
    expect(page.get_by_label("Token of an operator")).to_be_visible()


def test_p8_when_its_token_is_revoked_the_page_shows_nothing_more(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = open_ops(visit, server, token(server))
    command = [str(SWW), "token", "revoke", "alice", "--data", str(server.data)]
    subprocess.run(command, env=environment(), cwd=server.directory, check=True, capture_output=True)
    expect(page.get_by_label("Token of an operator")).to_be_visible()
    expect(page.locator("#board")).to_be_hidden()


# -- What it shows


def test_a_killed_bot_is_shown_at_once_with_the_entities_that_nobody_answers_for(
    start_server: StartServer, visit: Visit
) -> None:
    server = start_server()
    page = open_ops(visit, server)
    with bot(server, "--worker-id", "night-bot", "--entity", "zen") as process:
        row = page.locator("#bots tbody tr").filter(has_text="night-bot")
        expect(row).to_contain_text("here")
        expect(page.locator("#entities tbody tr").filter(has_text="Zen")).to_contain_text("night-bot")
        process.kill()
        expect(row).to_contain_text("left")
        expect(notice(page, "night-bot left")).to_contain_text("nobody answers for Zen now")
    figures: Json = server.http.get("/api/ops/figures").json()
    (gone,) = figures["bots"]
    assert not gone["here"]
    post_to(server, "zen")
    expect(notice(page, "Nobody answers for Zen: 1 message waits")).to_be_visible()


def test_a_killed_bot_is_shown_within_15_s_of_its_death(start_server: StartServer) -> None:
    """By the server's clock: from its last sign of life to the figures that say that it is gone."""
    server = start_server()
    url = f"{server.url}/api/ops/ws".replace("http", "ws", 1)
    with bot(server, "--worker-id", "night-bot", "--entity", "zen") as process, connect(url, proxy=None) as socket:
        while not any(known["here"] for known in json.loads(socket.recv())["bots"]):
            pass
        before = json.loads(socket.recv())["at"]
        process.kill()
        while (figures := json.loads(socket.recv()))["bots"][0]["here"]:
            pass
    assert figures["bots"][0]["lastSeen"] - before <= OPERATOR_SECONDS["a killed bot"] * 1_000
    assert figures["at"] - figures["bots"][0]["lastSeen"] <= OPERATOR_SECONDS["a killed bot"] * 1_000


def test_a_dead_provider_is_shown_with_its_reason_and_its_pause(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    with Provider() as provider:
        url = provider.base_url
    entities = f'[oracle]\ndisplay_name = "Oracle"\ncolor = "070140180"\nmodel = "gone"\nbase_url = "{url}"\n'
    page = open_ops(visit, server)
    with bot(server, "--worker-id", "oracle-bot", entities=entities):
        expect(page.locator("#bots tbody tr").filter(has_text="oracle-bot")).to_contain_text("here")
        asked = [post_to(server, "oracle") for _ in range(3)]
        expect(notice(page, "oracle: ")).to_contain_text("without an answer in the last minute")
        expect(notice(page, f"{url} does not answer: oracle-bot leaves it alone")).to_be_visible()
        of_oracle = page.locator("#entities tbody tr").filter(has_text="oracle")
        expect(of_oracle).to_contain_text("nobody: oracle-bot leaves its model alone")
        first = min(attempt["endedAt"] for attempt in server.http.get("/api/ops/figures").json()["overview"]["latest"])
    posted = {message["id"]: message["timestamp"] for message in server.http.get("/api/comments").json()}
    assert first - posted[asked[0]] <= OPERATOR_SECONDS["a dead provider"] * 1_000


def test_the_story_of_a_message_tells_each_attempt_and_the_answer(start_server: StartServer, visit: Visit) -> None:
    server = start_server(backoff_seconds=0.01)
    message_id = post_to(server, "zen", "Who took it?")
    queue(server, "fail", message_id, attempt=claim(server, message_id), error="no words")
    page = open_ops(visit, server)
    attempt = queue(server, "claim", message_id)["message"]["botParams"]["attempt"] if _is_pending(server, message_id) else 0
    queue(server, "complete", message_id, attempt=attempt, reply={"text": "The one who was counting.", "username": "Zen"})
    page.get_by_label("One message, by its id").fill(message_id)
    page.get_by_role("button", name="Show").click()
    story = page.get_by_role("dialog")
    expect(story.get_by_role("heading", name=f"Message {message_id}")).to_be_visible()
    expect(story.locator("blockquote")).to_have_text([re.compile("Who took it"), re.compile("The one who was counting")])
    expect(story.locator(".events li")).to_have_text(
        [
            re.compile("posted, with priority 50"),
            re.compile("attempt 1: worker-1 had it for .*, without an answer: no words"),
            re.compile("answered by worker-1, attempt 2, .* after the post"),
        ]
    )
    page.keyboard.press("Escape")
    expect(story).to_be_hidden()


def _is_pending(server: Server, message_id: str) -> bool:
    """Whether its backoff is over, after a while."""
    from servers import until  # noqa: PLC0415

    return bool(until(lambda: [one for one in server.http.get("/api/queue/pending").json() if one["id"] == message_id], "it"))


def test_text_of_visitors_and_reasons_are_text(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    message_id = post_to(server, "zen", evil)
    queue(server, "fail", message_id, attempt=claim(server, message_id), error=evil, retry=False, detail=evil)
    page = open_ops(visit, server)
    row = page.locator("#messages li")
    expect(row).to_contain_text(evil)
    row.get_by_role("button", name=f"All about {message_id}").click()
    expect(page.get_by_role("dialog").locator("blockquote")).to_contain_text(evil)
    assert page.locator("img, main script").count() == 0


# -- What an operator does


def test_a_failed_message_is_retried_or_removed_and_a_waiting_one_failed(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    first, second = failed(server), failed(server)
    alice = token(server)
    both = token(server, "both", "bot")
    page = open_ops(visit, server, alice)
    row = page.locator("#messages li").filter(has_text=first)
    row.get_by_role("button", name="Retry").click()
    expect(page.locator("#outcome")).to_have_text("1 message is pending again, with all attempts.")
    expect(page.locator("#messages li")).to_have_count(1)
    page.locator("#messages li").filter(has_text=second).get_by_role("button", name="Discard").click()
    expect(page.locator("#messages li")).to_have_count(1)  # it asks first
    page.get_by_role("button", name="Really remove it?").click()
    expect(page.locator("#no-messages")).to_have_text("No message has failed.")
    page.get_by_role("tab", name="Waiting for a bot").click()
    page.locator("#messages li").filter(has_text=first).get_by_role("button", name="Fail").click()
    page.get_by_role("button", name="Really fail it?").click()
    expect(page.locator("#outcome")).to_have_text("1 message is failed.")
    guarded_calls(server, both)
    (left,) = server.http.get("/api/comments").json()
    assert (left["id"], left["botParams"]["status"], left["botParams"]["error"]) == (first, "failed", "ended by an operator")


def test_all_failed_messages_are_retried_together(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    for _ in range(3):
        failed(server)
    page = open_ops(visit, server, token(server))
    page.get_by_role("button", name="Retry all failed").click()
    page.get_by_role("button", name="Really retry all failed?").click()
    expect(page.locator("#outcome")).to_have_text("3 messages are pending again, with all attempts.")
    expect(page.get_by_role("tab", name="Waiting for a bot")).to_contain_text("3")


def test_an_operator_acts_in_the_story_too(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    message_id = failed(server, detail="CUDA error")
    page = open_ops(visit, server, token(server))
    page.get_by_role("button", name=f"All about {message_id}").click()
    story = page.get_by_role("dialog")
    expect(story).to_contain_text("What the provider said: CUDA error")
    story.get_by_role("button", name="Retry").click()
    expect(story).to_contain_text("waits for a bot")


def test_an_operator_hides_a_text_reads_it_and_shows_it_again(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    message_id = failed(server)
    page = open_ops(visit, server, token(server))
    page.get_by_role("button", name=f"All about {message_id}").click()
    words = page.get_by_role("dialog").locator(".words")
    expect(words).to_have_text("Are you there?")
    page.get_by_role("button", name="Hide").click()
    page.get_by_role("button", name="Really hide it from everybody?").click()
    expect(words).to_have_text("(hidden)")
    assert [message["text"] for message in server.http.get("/api/comments").json()] == [""]
    page.get_by_role("button", name="Read it").click()
    expect(words).to_have_text("Are you there?")
    page.get_by_role("button", name="Show it again").click()
    expect(page.get_by_role("button", name="Hide")).to_be_visible()
    assert [message["text"] for message in server.http.get("/api/comments").json()] == ["Are you there?"]


# -- How it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_to_complain_about(start_server: StartServer, visit: Visit, scheme: str, width: int) -> None:
    server = start_server()
    message_id = failed(server)
    post_to(server, "nobody-home")
    page = open_ops(visit, server, token(server), color_scheme=scheme, viewport={"width": width, "height": 800})
    expect(notice(page, "1 message has failed for good")).to_be_visible()
    expect(page.locator("#messages li")).to_have_count(1)
    assert _violations(page) == []
    page.get_by_role("link", name="Week").click()
    expect(page.locator("#spans [aria-current]")).to_have_text("Week")
    assert _violations(page) == []
    page.get_by_role("button", name=f"All about {message_id}").click()
    expect(page.get_by_role("dialog")).to_contain_text("failed for good")
    assert _violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token of an operator")).to_be_visible()
    assert _violations(page) == []


def _violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{violation['id']}: {[node['html'] for node in violation['nodes']]}" for violation in found]


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_window(start_server: StartServer, visit: Visit, width: int) -> None:
    server = start_server()
    failed(server, reason="x" * 200)
    page = open_ops(visit, server, viewport={"width": width, "height": 800})
    expect(page.locator("#messages li")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_values_of_a_moment_are_read_with_the_keyboard(start_server: StartServer, visit: Visit) -> None:
    page = open_ops(visit, start_server())
    plot = page.get_by_role("img", name=re.compile("Unfinished messages: held 0, waiting 0"))
    plot.focus()
    page.keyboard.press("ArrowLeft")
    moment = page.locator(".plot").filter(has_text="Unfinished messages").locator(".when")
    expect(moment).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))


def test_while_the_page_is_hidden_it_follows_nothing(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = open_ops(visit, server)
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    expect(page.locator("#connection")).to_have_attribute("data-state", "hidden")
    page.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def test_without_a_socket_it_polls(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).tab()
    page.route_web_socket("**/api/ops/ws", lambda socket: socket.close())
    page.goto("/ops")
    expect(page.locator("#connection")).to_have_attribute("data-state", "polling")
    expect(page.locator(".plot").filter(has_text="Unfinished messages").locator("b").first).to_have_text("0")


def test_p8_the_page_allows_nothing_inline_nothing_from_elsewhere_and_no_frame(server: Server) -> None:
    response = server.http.get("/ops")
    policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'", "'script'"}
    assert response.headers["x-frame-options"] == "DENY"
    named = re.findall(r'(?:src|href)="(/[^"]+)"', response.text)
    assert all(re.fullmatch(r"/|/page/[0-9a-f]{12}/(ops/)?[a-z.-]+", address) for address in named)
    assert all("immutable" in server.http.get(address).headers["cache-control"] for address in named if address != "/")
