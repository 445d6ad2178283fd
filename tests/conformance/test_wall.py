"""The wall over HTTP: posting, reading, paging, and posting again."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from calls import a_post, assert_problem, claim, message, post, queue, read, said

from conftest import StartServer
from servers import Server, until


def texts(messages: list[dict[str, object]]) -> list[object]:
    return [message["text"] for message in messages]


@pytest.mark.parametrize(
    "text",
    [
        "Why is space black?",
        "<script>alert('text is text')</script> &amp; \"quotes\" \\ /",
        "two\nlines\tand a tab",
        "العربية 中文 עברית 👩‍👩‍👧 e\u0301",
        "x" * 5_000,
        "\U0001f30c" * 5_000,
    ],
    ids=["plain", "markup", "lines", "scripts", "longest", "longest of four bytes each"],
)
def test_p1_a_message_is_read_back_exactly_as_it_was_posted(server: Server, text: str) -> None:
    posted = post(server, text)
    (message,) = read(server, since=posted["timestamp"] - 1)
    assert (message["id"], message["timestamp"], message["text"]) == (posted["id"], posted["timestamp"], text)


def test_p1_text_and_username_are_trimmed(server: Server) -> None:
    posted = said(server.http.post("/api/comments", json=a_post("  to the point \n", username="\tHuman ")))
    (message,) = read(server, since=posted["timestamp"] - 1)
    assert (message["text"], message["username"]) == ("to the point", "Human")


def test_p1_a_body_need_not_say_that_it_is_json(server: Server) -> None:
    """``curl -d`` says that it is a form."""
    response = server.http.post(
        "/api/comments",
        content=b'{"text": "from curl", "username": "Human", "color": "169080199"}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert said(response)["status"] == "success"


def test_p5_reading_is_newest_first_unless_asc_is_asked_for(server: Server) -> None:
    before = post(server)["timestamp"]
    for text in ("first", "second", "third"):
        post(server, text)
    assert texts(read(server, since=before)) == ["third", "second", "first"]
    assert texts(read(server, since=before, order="desc")) == ["third", "second", "first"]
    assert texts(read(server, since=before, order="asc")) == ["first", "second", "third"]


def test_p5_since_gives_only_what_is_younger(server: Server) -> None:
    first, second = post(server, "first"), post(server, "second")
    assert texts(read(server, since=first["timestamp"])) == ["second"]
    assert read(server, since=second["timestamp"]) == []
    assert texts(read(server, since=second["timestamp"] - 1)) == ["second"]


def test_p5_a_limit_gives_the_newest_or_with_asc_the_next(server: Server) -> None:
    before = post(server)["timestamp"]
    for text in ("first", "second", "third"):
        post(server, text)
    assert texts(read(server, since=before, limit=2)) == ["third", "second"]
    assert texts(read(server, since=before, limit=2, order="asc")) == ["first", "second"]


def test_p5_pages_give_every_message_once_though_many_arrive_in_one_millisecond(server: Server) -> None:
    since = post(server)["timestamp"]
    with ThreadPoolExecutor(8) as people:
        posted = list(people.map(lambda number: post(server, f"at once {number}"), range(100)))
    assert len({answer["timestamp"] for answer in posted}) == 100
    paged = []
    while page := read(server, since=since, limit=7, order="asc"):
        paged += page
        since = page[-1]["timestamp"]
    assert sorted(message["id"] for message in paged) == sorted(answer["id"] for answer in posted)
    timestamps = [message["timestamp"] for message in paged]
    assert timestamps == sorted(set(timestamps))


def test_p5_an_unchanged_wall_is_a_304_and_each_commit_moves_the_etag_by_one(server: Server) -> None:
    post(server)
    first = server.http.get("/api/comments")
    again = server.http.get("/api/comments", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    posted = post(server)
    changed = server.http.get("/api/comments", headers={"If-None-Match": first.headers["etag"]})
    assert said(changed)[0]["id"] == posted["id"]
    assert int(changed.headers["etag"].strip('"')) == int(first.headers["etag"].strip('"')) + 1


@pytest.mark.parametrize("condition", ["W/{}", '"an older one", {}'], ids=["weak", "one of a list"])
def test_p5_a_proxy_may_weaken_or_list_etags(server: Server, condition: str) -> None:
    """RFC 9110, section 13.1.2: If-None-Match compares weakly and takes a list."""
    etag = server.http.get("/api/comments").headers["etag"]
    assert server.http.get("/api/comments", headers={"If-None-Match": condition.format(etag)}).status_code == 304


def test_p5_a_change_of_status_moves_the_etag_too(server: Server) -> None:
    posted = post(server)
    before = server.http.get("/api/comments").headers["etag"]
    claim(server, posted["id"])
    changed = server.http.get("/api/comments", headers={"If-None-Match": before})
    assert said(changed)[0]["botParams"]["status"] == "processing"


def test_p7_posts_with_one_key_make_one_message_and_get_the_first_answer(server: Server) -> None:
    before = post(server)["timestamp"]
    headers = {"Idempotency-Key": "repeated"}
    with ThreadPoolExecutor(8) as people:
        repetitions = [people.submit(server.http.post, "/api/comments", json=a_post(), headers=headers) for _ in range(16)]
        answers = [said(repetition.result()) for repetition in repetitions]
    assert all(answer == answers[0] for answer in answers)
    assert [message["id"] for message in read(server, since=before)] == [answers[0]["id"]]


def test_p7_other_keys_and_no_key_make_other_messages(server: Server) -> None:
    answers = [
        said(server.http.post("/api/comments", json=a_post(), headers=headers))
        for headers in ({"Idempotency-Key": "one"}, {"Idempotency-Key": "two"}, {}, {})
    ]
    assert len({answer["id"] for answer in answers}) == 4


@pytest.mark.needs("durability")
def test_p7_a_key_is_still_known_after_sigkill_and_restart(start_server: StartServer) -> None:
    server = start_server()
    headers = {"Idempotency-Key": "survives"}
    first = said(server.http.post("/api/comments", json=a_post(), headers=headers))
    server.restart()
    assert said(server.http.post("/api/comments", json=a_post(), headers=headers)) == first
    assert len(read(server)) == 1


@pytest.mark.needs("durability")
def test_p6_retention_removes_the_oldest_finished_messages_and_no_work(start_server: StartServer) -> None:
    server = start_server(retention=3)
    unfinished = post(server, "oldest, and never answered")
    for number in range(5):
        posted = post(server, f"finished {number}")
        claim(server, posted["id"])
        said(queue(server, "complete", messageId=posted["id"]))
    expected = ["oldest, and never answered", "finished 2", "finished 3", "finished 4"]
    assert texts(read(server, order="asc")) == expected
    server.restart()
    assert texts(read(server, order="asc")) == expected
    assert claim(server, unfinished["id"])["text"] == "oldest, and never answered"


def test_p6_a_full_backlog_refuses_posts_until_there_is_room(start_server: StartServer) -> None:
    server = start_server(backlog_limit=3)
    first, second = post(server, "first"), post(server, "second", entity="zen")
    post(server, "third", entity="rude")
    assert_problem(server.http.post("/api/comments", json=a_post()), 503, "3 messages wait")
    assert [message["id"] for message in read(server)][1:] == [second["id"], first["id"]]
    claim(server, first["id"])
    assert_problem(server.http.post("/api/comments", json=a_post()), 503)
    said(queue(server, "complete", messageId=first["id"], reply={"text": "a reply needs no room"}))
    assert post(server)["status"] == "success"


def test_p6_an_entity_that_nobody_serves_cannot_close_the_wall(start_server: StartServer) -> None:
    server = start_server(backlog_limit=20)
    answers = [server.http.post("/api/comments", json=a_post(botParams={"entity": f"nobody-{n % 3}"})) for n in range(40)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(answers) - len(refused) == 10
    for answer in refused:
        assert_problem(answer, 503, "unknown entities")
    assert post(server, "to zen", entity="zen")["status"] == "success"
    assert post(server, "to no entity")["status"] == "success"


def test_p4_an_unclaimed_message_fails_in_time_and_every_reader_sees_why(start_server: StartServer) -> None:
    server = start_server(max_wait_seconds=1)
    posted = post(server, entity="nobody-serves-this")["id"]
    seq = server.http.get("/api/comments?limit=1").headers["etag"].strip('"')
    until(lambda: message(server, posted)["botParams"]["status"] == "failed", "the end of the wait")
    failed = message(server, posted)
    assert failed["botParams"]["error"] == "nobody answered within 1 second"
    assert read(server, changedAfter=seq) == [failed]
    assert said(server.http.get("/api/queue/messages?state=failed")) == [failed]


def test_p4_what_waits_longer_is_as_urgent_as_what_is_more_urgent(start_server: StartServer) -> None:
    server = start_server(priority_aging_seconds=0.001)
    patient = post(server, "patient", entity="zen", priority=6)
    until(lambda: post(server, "later", entity="rude")["timestamp"] > patient["timestamp"] + 1, "two milliseconds")
    urgent = post(server, "urgent", entity="zen", priority=5)
    pending = said(server.http.get("/api/queue/pending?entity=zen"))
    assert [found["id"] for found in pending] == [patient["id"], urgent["id"]]
