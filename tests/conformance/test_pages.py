"""What the page in the browser is made of and reads: its files, who answers, older messages, and what has changed."""

import re

import pytest
from calls import claim, message, post, queue, read, said

from servers import Server


def etag(server: Server) -> int:
    """The wall's last commit."""
    return int(server.http.get("/api/comments?limit=1").headers["etag"].strip('"'))


def asset(server: Server) -> str:
    """The address of one of the page's files."""
    (found, *_) = re.findall(r'"(/page/[^"]+\.js)"', server.http.get("/").text)
    return str(found)


def test_p5_older_messages_are_read_page_by_page_before_the_oldest_known(server: Server) -> None:
    posted = [post(server, f"older {number}")["id"] for number in range(7)]
    seen: list[str] = []
    (newest,) = read(server, limit=1)
    seen.append(newest["id"])
    before = newest["timestamp"]
    while len(seen) < len(posted):
        page = read(server, before=before, limit=3)
        assert [older["timestamp"] for older in page] == sorted((older["timestamp"] for older in page), reverse=True)
        assert all(older["timestamp"] < before for older in page)
        seen += [older["id"] for older in page]
        before = page[-1]["timestamp"]
    assert seen[: len(posted)] == posted[::-1]


def test_p5_since_and_before_leave_what_lies_between(server: Server) -> None:
    first, second, third = (post(server, text) for text in ("first", "second", "third"))
    between = read(server, since=first["timestamp"], before=third["timestamp"])
    assert [found["id"] for found in between] == [second["id"]]


@pytest.mark.needs("one object")
def test_p5_a_poll_by_seq_gives_new_and_changed_messages(server: Server) -> None:
    old = post(server, "old", entity="poll-by-seq")["id"]
    seq = etag(server)
    new = post(server, "new", entity="poll-by-seq")["id"]
    claim(server, old)
    answer = server.http.get(f"/api/comments?changedAfter={seq}")
    assert [(changed["id"], changed["seq"]) for changed in said(answer)] == [(new, seq + 1), (old, seq + 2)]
    assert said(answer)[1] == message(server, old)
    assert answer.headers["etag"] == f'"{seq + 2}"'
    assert server.http.get(f"/api/comments?changedAfter={seq}", headers={"If-None-Match": f'"{seq + 2}"'}).status_code == 304
    assert read(server, changedAfter=seq + 2) == []
    queue(server, "fail", messageId=old, workerId="worker-1", attempt=1, error="no words", retry=False).raise_for_status()
    assert [changed["id"] for changed in read(server, changedAfter=seq + 2)] == [old]


@pytest.mark.needs("one object")
def test_p5_a_poll_by_seq_with_a_limit_goes_on_from_its_etag(server: Server) -> None:
    seq = etag(server)
    new = [post(server, text)["id"] for text in ("first", "second", "third")]
    answer = server.http.get(f"/api/comments?changedAfter={seq}&limit=2")
    assert [changed["id"] for changed in said(answer)] == new[:2]
    assert answer.headers["etag"] == f'"{seq + 2}"'
    assert [changed["id"] for changed in read(server, changedAfter=seq + 2, limit=2)] == new[2:]


@pytest.mark.parametrize(("query", "field"), [("before=soon", "before"), ("changedAfter=-1", "changedAfter")])
def test_p8_a_query_that_is_no_number_is_refused(server: Server, query: str, field: str) -> None:
    refused = server.http.get(f"/api/comments?{query}")
    assert (refused.status_code, refused.json()["field"]) == (422, field)


@pytest.mark.one_deployment("what files are served is the same for all")
def test_entities_are_listed_with_name_and_colour(server: Server) -> None:
    summary = said(server.http.get("/api/entities"))
    assert summary["maxText"] == 5_000
    (zen,) = (entity for entity in summary["entities"] if entity["name"] == "zen")
    assert zen.items() >= {"name": "zen", "displayName": "Zen", "color": "070140180"}.items()


@pytest.mark.one_deployment("what files are served is the same for all")
def test_the_summary_names_the_version_of_the_page_that_its_assets_are_under(server: Server) -> None:
    assert f"/page/{said(server.http.get('/api/entities'))['page']}/" in asset(server)


@pytest.mark.one_deployment("what files are served is the same for all")
@pytest.mark.needs("own pages")
def test_p8_pages_and_their_files_are_read_and_nothing_else(server: Server) -> None:
    for path in ("/", asset(server), "/api/docs", "/api/openapi.json"):
        for method in ("POST", "DELETE", "PUT"):
            refused = server.http.request(method, path)
            assert refused.status_code == 405
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["allow"] == "GET, HEAD"
        head = server.http.head(path)
        assert (head.status_code, head.content) == (200, b"")


@pytest.mark.one_deployment("what files are served is the same for all")
def test_a_page_that_has_not_changed_is_not_sent_again(server: Server) -> None:
    for path in ("/", asset(server)):
        first = server.http.get(path)
        again = server.http.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.one_deployment("what files are served is the same for all")
@pytest.mark.needs("own pages")
def test_pages_are_counted(server: Server) -> None:
    server.http.get("/")
    assert 'sww_http_requests_total{route="/page",method="GET",status="200"}' in server.http.get("/metrics").text
