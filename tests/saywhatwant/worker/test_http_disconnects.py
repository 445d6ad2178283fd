"""Clients that disconnect while they wait: they affect no other client, and no message is lost."""

import pytest
from harness import CLOSE, FULL, WALL, Harness, Run, claim, post, request

from saywhatwant.worker.limits import MAX_PIPELINED
from scenario import until

pytest_plugins = ["harness_fixture"]
pytestmark = pytest.mark.usefixtures("no_settings")


@pytest.mark.parametrize("by_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("sent", "error"),
    [
        pytest.param([post("new")], None, id="post"),
        pytest.param([request()], None, id="read"),
        pytest.param([request()], FULL, id="read that fails"),
        pytest.param([request(WALL, CLOSE)], None, id="last read"),
        pytest.param([post("new"), request()], None, id="pipeline"),
        pytest.param([post("new"), request()], FULL, id="pipeline that fails"),
    ],
)
def test_a_client_that_disconnects_while_it_waits_affects_no_other_client(
    run: Run,
    sent: list[bytes],
    error: OSError | None,
    *,
    by_reset: bool,
) -> None:
    async def scenario(harness: Harness) -> None:
        harness.commits.hold()
        staying, going = await harness.client(), await harness.client()
        staying.send(post("staying"))
        await harness.until_tasks(1)
        going.send(*sent)
        await harness.until_tasks(2)
        await going.close(by_reset=by_reset)
        await going.closed_by_server()
        harness.commits.go_on(error)
        assert (await staying.response()).status == (503 if error else 200)
        await harness.until_tasks(0)
        harness.commits.go_on()
        assert (await staying.fetch(post("still here"))).status == 200

    run(scenario)


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param([], id="alone"),
        pytest.param([post("more")], id="pipeline"),
        pytest.param([request()] * (MAX_PIPELINED - 1), id="long pipeline"),
        pytest.param([b"something else\r\n\r\n"], id="something wrong"),
    ],
)
def test_p3_a_claim_takes_nothing_for_a_client_that_has_gone_away(run: Run, behind: list[bytes]) -> None:
    async def scenario(harness: Harness) -> None:
        going, staying = await harness.client(), await harness.client()
        going.send(claim(wait=60), *behind)
        await until(lambda: len(harness.waiters) == 1)
        await going.close()
        await going.closed_by_server()
        assert (await staying.fetch(post("work"))).status == 200
        assert (await staying.fetch(request("/api/queue/pending"))).texts == ["work"]

    run(scenario)


def test_a_client_may_abort_a_request_in_the_middle_of_its_body(run: Run) -> None:
    async def scenario(harness: Harness) -> None:
        going, staying = await harness.client(), await harness.client()
        going.send(post("half")[:-10])
        await harness.until_tasks(1)
        await going.close()
        await going.closed_by_server()
        await harness.until_tasks(0)
        assert (await staying.fetch(request())).texts == []

    run(scenario)
