"""Messages that were finished and removed while the page was not connected."""

import pytest
from page_browser import PROVISIONAL, Visit, answer, claim, on_wall, post_to, queue, row, until_seen
from page_poller import Poller
from playwright.sync_api import Route, expect

from conftest import StartServer
from servers import Server

pytest_plugins = ["page_fixtures"]

NIGHT = "08:00:00"


@pytest.mark.parametrize("is_live", [False, True], ids=["polling", "live"])
def test_a_message_that_finished_and_was_removed_meanwhile_is_not_being_answered(
    is_live: bool,  # noqa: FBT001 - it is the parameter
    start_server: StartServer,
    visit: Visit,
) -> None:
    server = start_server(retention=2, talk_retention=0)
    poller = Poller(visit(server))
    page = poller.page
    if is_live:
        poller.go_live()
    queued, held, still_held = post_to(server, "rude"), post_to(server, "zen"), post_to(server, "eliza")
    claim(server, held)
    claim(server, still_held)
    poller.pass_time(6_000)
    expect(page.locator(PROVISIONAL)).to_have_count(2)
    expect(row(page, queued).locator(".state")).to_have_text("waiting")

    if is_live:
        poller.sockets.mute()
    for message in (queued, post_to(server, "zen", "One more"), post_to(server, "zen", "And one")):
        answer(server, message, "Done.")
    finish(server, held)
    answer(server, post_to(server, "zen", "The last one"), "Done.")
    assert not {queued, held} & {message_id for message_id, _ in on_wall(server)}
    page.clock.fast_forward(NIGHT)
    poller.pass_time(1_000)

    for gone in (queued, held):
        expect(row(page, gone).locator(".note")).to_contain_text("Finished while the page was disconnected")
        expect(row(page, gone).locator(".state")).to_be_hidden()
    expect(page.locator(PROVISIONAL)).to_have_count(1)
    expect(row(page, still_held)).to_have_attribute("data-status", "processing")


def test_a_live_page_looks_again_for_what_it_missed_after_a_failure(start_server: StartServer, visit: Visit) -> None:
    server = start_server(retention=2, talk_retention=0)
    visitor = visit(server)
    poller = Poller(visitor)
    page = poller.page
    poller.go_live()
    held = post_to(server, "zen")
    claim(server, held)
    expect(page.locator(PROVISIONAL)).to_have_count(1)
    poller.sockets.mute()
    finish(server, held)
    for _ in range(2):
        answer(server, post_to(server, "zen", "One more"), "Done.")
    failures: list[str] = []

    def fail(route: Route) -> None:
        failures.append(route.request.url)
        route.fulfill(status=503, json={})

    visitor.expect_errors("Failed to load resource: the server responded with a status of 503")
    page.route("**/api/comments?since=*", fail, times=1)
    page.clock.fast_forward(NIGHT)
    until_seen(page, lambda: failures, "the failure")
    poller.until_state("live")
    expect(page.locator(PROVISIONAL)).to_have_count(1)

    poller.pass_time(40_000)
    heartbeat = {"seq": server.http.get("/api/stats").json()["seq"], "events": []}
    poller.sockets.send(heartbeat)
    poller.pass_time(30_000)
    expect(page.locator(PROVISIONAL)).to_have_count(1)
    poller.sockets.send(heartbeat)

    expect(page.locator(PROVISIONAL)).to_have_count(0)


def finish(server: Server, message_id: str) -> None:
    """Answer a message that is held at its first attempt."""
    queue(server, "complete", message_id, attempt=1, reply={"text": "Done.", "username": "Zen"})
