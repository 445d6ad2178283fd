"""SIGKILL under load, then every promise checked against what clients were sent. ``make torture`` kills more often."""

import pytest
from calls import claim, params, post, queue, read, said
from clients import Clients
from kill_harness import (
    Aftermath,
    check_p1_completions_survive,
    check_p1_posts_survive,
    check_p2_no_commit_was_taken_back,
    check_p3_only_the_latest_attempt_completed,
    check_p4_one_reply_or_a_reason,
    check_p5_paging_skipped_nothing,
    check_p7_no_message_twice,
    check_p8_clients_got_no_surprise,
    kill_under_load,
)

from conftest import MakeServer, StartServer
from servers import until

pytestmark = pytest.mark.needs("durability")

KILLS = 4
POSTS = 12
"""Posts, and as many completions, before each kill: so each kill meets work in every state."""


def wait_for_work(clients: Clients) -> None:
    """Return when clients have got POSTS more posts and completions acknowledged."""
    posts, completions = len(clients.posted) + POSTS, len(clients.completed) + POSTS
    until(lambda: clients.errors or (len(clients.posted) >= posts and len(clients.completed) >= completions), "progress")


@pytest.fixture(scope="module")
def aftermath(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    return kill_under_load(tmp_path_factory.mktemp("killed"), make_server, [wait_for_work] * KILLS)


def test_p8_clients_get_only_answers_they_can_expect(aftermath: Aftermath) -> None:
    check_p8_clients_got_no_surprise(aftermath)
    assert len(aftermath.clients.posted) >= KILLS * POSTS
    assert len(aftermath.clients.completed) >= KILLS * POSTS


def test_p1_every_acknowledged_post_survives(aftermath: Aftermath) -> None:
    check_p1_posts_survive(aftermath)


def test_p1_every_acknowledged_completion_survives_with_its_reply(aftermath: Aftermath) -> None:
    check_p1_completions_survive(aftermath)


def test_p2_no_commit_that_a_reader_saw_is_taken_back(aftermath: Aftermath) -> None:
    check_p2_no_commit_was_taken_back(aftermath)


def test_p3_only_the_latest_attempt_completes_a_message(aftermath: Aftermath) -> None:
    check_p3_only_the_latest_attempt_completed(aftermath)


def test_p4_every_message_ends_with_one_reply_or_as_failed_with_its_reason(aftermath: Aftermath) -> None:
    check_p4_one_reply_or_a_reason(aftermath)


def test_p5_a_reader_gets_every_message_once_and_in_order(aftermath: Aftermath) -> None:
    check_p5_paging_skipped_nothing(aftermath)


def test_p7_a_repeated_post_makes_one_message(aftermath: Aftermath) -> None:
    check_p7_no_message_twice(aftermath)


def test_p6_unfinished_work_of_every_kind_survives_a_kill(start_server: StartServer) -> None:
    server = start_server(backoff_seconds=300)
    held, backing_off, _ = (post(server)["id"] for _ in range(3))
    claim(server, held)
    claim(server, backing_off)
    failed = said(queue(server, "fail", messageId=backing_off, workerId="worker-1", attempt=1, error="not now"))
    assert params(server, backing_off)["retryAt"] == failed["retryAt"]
    before = read(server)
    server.restart()
    assert read(server) == before
    assert said(queue(server, "extend", messageId=held, workerId="worker-1", attempt=1))["success"] is True
