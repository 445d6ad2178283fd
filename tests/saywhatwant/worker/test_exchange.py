"""A request and its answer: heads and last answers, and that the long way looks the same from outside as the short one."""

import pytest
from stage import ALIVE, CLOSE, WALL, Play, Stage, post, request

pytest_plugins = ["playing"]
pytestmark = pytest.mark.usefixtures("no_settings")


def test_a_head_has_the_headers_of_its_get_and_no_body(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang("new")
        client = await stage.client()
        read = await client.ask(request())
        client.send(request(method="HEAD"), request("/healthz"))
        head = await client.head()
        assert "date" in read.headers
        assert head.headers.keys() == read.headers.keys()
        assert (head.status, head.headers | {"date": ""}) == (200, read.headers | {"date": ""})
        assert int(head.headers["content-length"]) == len(read.body)
        assert "connection" not in read.headers
        assert (await client.answer()).body == ALIVE

    play(scenario)


@pytest.mark.parametrize(("version", "headers"), [("1.1", [CLOSE]), ("1.0", []), ("1.0", ["Connection: keep-alive"])])
def test_the_answer_to_a_last_request_says_so_and_is_all_there(play: Play, version: str, headers: list[str]) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.hang("new")
        client = await stage.client()
        answer = await client.ask(request(WALL, *headers, version=version))
        assert (answer.texts, answer.headers["connection"]) == (["new"], "close")
        await client.assert_closed()

    play(scenario)


# -- The long way


def test_pages_of_other_sites_may_read_what_went_through_no_middleware(play: Play) -> None:
    """The short way is the server's own ``send``: where CORS put another before it, the answer goes by that."""
    site = "https://example.org"

    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        for sent in (request(WALL, f"Origin: {site}"), post("new", f"Origin: {site}")):
            answer = await client.ask(sent)
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, site)
            assert "etag" in answer.headers["access-control-expose-headers"].lower()
        answer = await client.ask(request())
        assert answer.texts == ["new"]
        assert "access-control-allow-origin" not in answer.headers

    play(scenario, cors_origins=[site])


def test_p8_a_file_that_is_not_there_is_a_404(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        client = await stage.client()
        answer = await client.ask(request("/api/docs/assets/nothing.css"))
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
        assert (await client.ask(request("/healthz"))).body == ALIVE

    play(scenario)
