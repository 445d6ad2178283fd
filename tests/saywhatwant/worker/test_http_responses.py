"""HEAD, last responses, and that a response sent through ASGI looks the same as one sent by ``send_response``."""

import pytest
from harness import ALIVE, CLOSE, WALL, Harness, Run, post, request

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")


def test_a_head_has_the_headers_of_its_get_and_no_body(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add_messages("new")
        client = await harness.client()
        read = await client.fetch(request())
        client.send(request(method="HEAD"), request("/healthz"))
        head = await client.head()
        assert "date" in read.headers
        assert head.headers.keys() == read.headers.keys()
        assert (head.status, head.headers | {"date": ""}) == (200, read.headers | {"date": ""})
        assert int(head.headers["content-length"]) == len(read.body)
        assert "connection" not in read.headers
        assert (await client.response()).body == ALIVE

    run(scenario)


@pytest.mark.parametrize(("version", "headers"), [("1.1", [CLOSE]), ("1.0", []), ("1.0", ["Connection: keep-alive"])])
def test_the_answer_to_a_last_request_is_complete_and_announces_the_close(run: Run, version: str, headers: list[str]) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add_messages("new")
        client = await harness.client()
        answer = await client.fetch(request(WALL, *headers, version=version))
        assert (answer.texts, answer.headers["connection"]) == (["new"], "close")
        await client.assert_closed()

    run(scenario)


# -- Through ASGI


def test_cors_headers_are_on_responses_that_could_be_sent_by_one_call(run: Run) -> None:
    """``send_response`` needs the server's own ``send``; where CORS has wrapped it, the response goes through that."""
    site = "https://example.org"

    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        for sent in (request(WALL, f"Origin: {site}"), post("new", f"Origin: {site}")):
            answer = await client.fetch(sent)
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, site)
            assert "etag" in answer.headers["access-control-expose-headers"].lower()
        answer = await client.fetch(request())
        assert answer.texts == ["new"]
        assert "access-control-allow-origin" not in answer.headers

    run(scenario, cors_origins=[site])


def test_p8_a_file_that_is_not_there_is_a_404(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.client()
        answer = await client.fetch(request("/api/docs/assets/nothing.css"))
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
        assert (await client.fetch(request("/healthz"))).body == ALIVE

    run(scenario)
