"""A reply as it is being written: one row, from the first thought to the finished message."""

from page_browser import (
    MESSAGES,
    PROVISIONAL,
    SocketProxy,
    Visit,
    answer,
    claim,
    expect_same_wall,
    expect_state,
    post,
    post_to,
    queue,
    row,
)
from playwright.sync_api import expect

from conftest import StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]


def test_p4_a_reply_grows_in_its_row_which_becomes_the_message(start_server: StartServer, visit: Visit) -> None:
    server = start_server()
    page = visit(server).open()
    asked = post_to(server, "zen")
    expect(row(page, asked)).to_have_attribute("data-status", "pending")

    attempt = claim(server, asked)
    provisional = page.locator(PROVISIONAL)
    expect(row(page, asked)).to_have_attribute("data-status", "processing")
    expect(provisional).to_contain_text("is thinking")
    expect(provisional.locator("header > .name")).to_have_text("Zen")
    provisional.evaluate("row => row.marked = true")

    for words in ("Space", "Space is <b>not", "Space is <b>not</b> black."):
        queue(server, "progress", asked, attempt=attempt, text=words)
        expect(provisional.locator(".text")).to_have_text(words)

    reply = queue(server, "complete", asked, attempt=attempt, reply={"text": "It glows.", "username": "Zen"})["id"]
    expect(row(page, reply).locator(".text")).to_have_text("It glows.")
    expect(row(page, asked)).to_have_attribute("data-status", "complete")
    expect(provisional).to_have_count(0)
    expect(page.locator("article.message")).to_have_count(2)
    assert row(page, reply).evaluate("row => row.marked")
    expect_same_wall(page, server)


def test_p3_the_text_of_an_attempt_that_was_overtaken_is_not_shown(start_server: StartServer, visit: Visit) -> None:
    server = start_server(backoff_seconds=0.001)
    page = visit(server).open()
    asked = post_to(server, "zen")
    first = claim(server, asked)
    queue(server, "progress", asked, attempt=first, text="What the first one wrote, and it is long")
    expect(page.locator(PROVISIONAL)).to_contain_text("What the first one wrote")

    queue(server, "fail", asked, attempt=first, error="out of breath")
    expect(page.locator(PROVISIONAL)).to_have_count(0)
    second = claim_again(server, asked)
    expect(page.locator(PROVISIONAL)).to_contain_text("is thinking")
    assert server.http.post("/api/queue/progress", json=progress(asked, first, "Too late, said the first")).status_code == 409
    queue(server, "progress", asked, attempt=second, workerId="worker-2", text="Second")

    expect(page.locator(PROVISIONAL).locator(".text")).to_have_text("Second")
    expect(page.locator(PROVISIONAL)).to_have_count(1)


def test_p4_a_lease_that_runs_out_takes_the_unfinished_reply_away(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    page = visitor.tab()
    sockets = SocketProxy(page)
    page.goto("/")
    expect_state(page, "live")
    asked = post_to(server, "zen", "Will you be long?")
    queue(server, "progress", asked, attempt=claim(server, asked), text="I was about to")
    expect(page.locator(PROVISIONAL)).to_contain_text("I was about to")
    (held,) = [message for message in server.http.get("/api/comments").json() if message["id"] == asked]

    pending = held | {"seq": held["seq"] + 1, "botParams": held["botParams"] | {"status": "pending", "leaseExpiresAt": None}}
    sockets.send({"seq": pending["seq"], "events": [{"type": "message", "message": pending}]})

    expect(page.locator(PROVISIONAL)).to_have_count(0)
    expect(row(page, asked)).to_have_attribute("data-status", "pending")
    queue(server, "complete", asked, attempt=1)


def test_p4_a_message_that_failed_shows_why(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    asked = post_to(server, "rude")

    queue(server, "fail", asked, attempt=claim(server, asked), error="<b>no</b> model & no hope", retry=False)

    expect(row(page, asked)).to_have_attribute("data-status", "failed")
    expect(row(page, asked).locator(".note")).to_have_text(
        "Got no answer from Rude: <b>no</b> model & no hope", use_inner_text=True
    )
    expect(page.locator(PROVISIONAL)).to_have_count(0)

    queue(server, "retry", asked)
    expect(row(page, asked)).to_have_attribute("data-status", "pending")
    expect(row(page, asked).locator(".note")).not_to_contain_text("no answer")


def test_p4_an_unanswered_message_shows_that_it_failed(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    asked = post(server, "Is there anybody?")

    queue(server, "fail", asked, attempt=claim(server, asked), error="nobody answered within 24 hours", retry=False)

    expect(row(page, asked).locator(".note")).to_have_text("Got no answer: nobody answered within 24 hours")


def test_p4_a_message_that_was_finished_without_a_reply_shows_so(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    silent, answered = post_to(server, "zen", "Say nothing"), post_to(server, "zen", "Say something")

    queue(server, "complete", silent, attempt=claim(server, silent))
    reply = answer(server, answered, "Something")

    expect(row(page, silent).locator(".note")).to_have_text("Finished without a reply")
    expect(row(page, reply)).to_be_attached()
    expect(row(page, answered)).to_have_attribute("data-status", "complete")
    expect(row(page, answered).locator(".note")).to_be_hidden()
    page.reload()
    expect(row(page, silent).locator(".note")).to_have_text("Finished without a reply")
    expect(row(page, answered).locator(".note")).to_be_hidden()


def test_a_reply_that_is_posted_before_its_question_is_completed_is_a_reply(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    asked = post_to(server, "zen", "In two steps")
    attempt = claim(server, asked)

    reply = post(server, "One", username="Zen", messageType="AI", replyTo=asked, workerId="worker-1", attempt=attempt)
    queue(server, "complete", asked, attempt=attempt)

    expect(row(page, asked)).to_have_attribute("data-status", "complete")
    expect(row(page, asked).locator(".note")).to_be_hidden()
    expect(row(page, reply).locator(".quote")).to_contain_text("In two steps")


def test_a_message_that_will_be_tried_again_shows_so(start_server: StartServer, visit: Visit) -> None:
    server = start_server(backoff_seconds=300)
    page = visit(server).open()
    asked = post_to(server, "zen")

    queue(server, "fail", asked, attempt=claim(server, asked), error="busy")

    expect(row(page, asked).locator(".note")).to_contain_text("will try again")
    expect(row(page, asked).locator(".note")).to_contain_text("busy")


def test_a_visitor_who_comes_while_a_reply_is_written_sees_it_grow(server: Server, visit: Visit) -> None:
    asked = post_to(server, "zen", "Slowly, please")
    attempt = claim(server, asked)
    queue(server, "progress", asked, attempt=attempt, text="One")
    page = visit(server).open()
    expect(page.locator(PROVISIONAL).locator(".text")).to_have_text("One")

    queue(server, "progress", asked, attempt=attempt, text="One, two")

    expect(page.locator(PROVISIONAL).locator(".text")).to_have_text("One, two")
    queue(server, "complete", asked, attempt=attempt, reply={"text": "One, two, three", "username": "Zen"})
    expect(page.locator(PROVISIONAL)).to_have_count(0)


def test_visitors_who_come_at_different_times_see_the_same_reply_grow(server: Server, visit: Visit) -> None:
    asked = post_to(server, "zen", "Slowly, and to all")
    attempt = claim(server, asked)
    pages = [visit(server).open()]
    texts = [
        "One \U0001f468\u200d\U0001f469",
        "One \U0001f468\u200d\U0001f469, two",
        "Something else",
        "Something else, and more",
    ]

    for text in texts:
        queue(server, "progress", asked, attempt=attempt, text=text)
        pages.append(visit(server).open())

        for page in pages:
            expect(page.locator(PROVISIONAL, has_text="to Somebody").locator(".text")).to_have_text(text)

    queue(server, "complete", asked, attempt=attempt)


def test_a_reply_that_is_not_the_next_message_links_to_its_question(server: Server, visit: Visit) -> None:
    page = visit(server).open()
    asked = post_to(server, "zen", "The first question")
    post(server, "Something in between")
    reply = queue(server, "complete", asked, attempt=claim(server, asked), reply={"text": "Late", "username": "Zen"})["id"]

    expect(row(page, reply).locator(".quote")).to_contain_text("The first question")
    row(page, reply).locator(".quote").click()

    expect(row(page, asked)).to_be_focused()
    expect_state(page, "live")
    expect(page.locator(MESSAGES).last).to_have_attribute("data-id", reply)


def claim_again(server: Server, message_id: str) -> int:
    """Hold a message that has just backed off."""
    body = {"workerId": "worker-2", "wait": 10}
    (message,) = server.http.post("/api/queue/claim", json=body).raise_for_status().json()["messages"]
    assert message["id"] == message_id
    return int(message["botParams"]["attempt"])


def progress(message_id: str, attempt: int, text: str) -> dict[str, object]:
    """The body of a call that may be refused."""
    return {"messageId": message_id, "workerId": "worker-1", "attempt": attempt, "text": text}
