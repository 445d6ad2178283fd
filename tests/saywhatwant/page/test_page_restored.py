"""A page that was open when its wall was lost shows the restored one, and nothing of what was lost (P5)."""

import shutil
import subprocess

import pytest
from page_browser import LOST_NETWORK, Visit, answer, expect_same_wall, expect_state, post, post_to, row, until_seen
from page_poller import Poller
from playwright.sync_api import expect

from conftest import StartServer
from servers import SWW, Server, environment

pytest_plugins = ["page_fixtures"]


def ran(server: Server, *arguments: str) -> None:
    """In a process of its own, since the browser's driver runs an event loop in this one."""
    command = [str(SWW), *arguments]
    done = subprocess.run(command, cwd=server.directory, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def back_up(server: Server) -> None:
    ran(server, "backup", "--data", "data", "--to", "backup")


def lose_disk(server: Server) -> None:
    server.kill()
    shutil.rmtree(server.data)
    ran(server, "restore", "--from", "backup", "--data", "data")
    server.start()


@pytest.mark.parametrize("is_live", [False, True], ids=["polling", "live"])
def test_p5_a_page_forgets_what_was_lost_and_shows_what_was_restored(
    is_live: bool,  # noqa: FBT001 - it is the parameter
    start_server: StartServer,
    visit: Visit,
) -> None:
    """Also that a message which it has seen answered waits again."""
    server = start_server(lease_seconds=3_600)
    visitor = visit(server)
    visitor.expect_errors(*LOST_NETWORK)
    question = post_to(server, "zen", "Asked before the backup")
    back_up(server)
    lost = [answer(server, question, "A lost answer"), post(server, "Lost")]
    poller = Poller(visitor)
    page = poller.page
    if is_live:
        poller.go_live()
    for message_id in lost:
        expect(row(page, message_id)).to_be_visible()

    lose_disk(server)
    poller.pass_time(40_000)
    poller.until_state("live" if is_live else "polling")

    until_seen(page, lambda: row(page, lost[1]).count() == 0, "the restored wall")
    expect(row(page, lost[0])).to_have_count(0)
    expect(row(page, question).locator(".state")).to_have_text("waiting")
    expect_same_wall(page, server)
    new = post(server, "New")
    poller.pass_time(40_000)
    expect(row(page, new)).to_be_visible()
    expect_same_wall(page, server)


def test_p5_a_page_that_shows_one_talk_shows_the_restored_one(start_server: StartServer, visit: Visit) -> None:
    server = start_server(lease_seconds=3_600)
    visitor = visit(server)
    visitor.expect_errors(*LOST_NETWORK)
    question = post_to(server, "zen", "Asked before the backup")
    back_up(server)
    lost = answer(server, question, "A lost answer")
    page = visitor.open()
    row(page, question).locator("header > .name").click()
    expect(page.locator("#shown")).to_have_text("Somebody with Zen")
    expect(row(page, lost)).to_be_visible()

    lose_disk(server)

    until_seen(page, lambda: row(page, lost).count() == 0, "the restored talk")
    expect(row(page, question)).to_be_visible()
    expect_state(page, "live")
