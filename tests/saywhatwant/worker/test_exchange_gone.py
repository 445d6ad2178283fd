"""Clients that go away while they wait: they trouble nobody, and take nothing with them."""

import pytest
from stage import CLOSE, FULL, WALL, Play, Stage, claim, post, request

from saywhatwant.worker.exchange import PAUSE_AT_PIPELINED
from scenario import until

pytest_plugins = ["playing"]
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
def test_a_client_that_goes_away_while_it_waits_troubles_nobody(
    play: Play,
    sent: list[bytes],
    error: OSError | None,
    *,
    by_reset: bool,
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.commits.hold()
        staying, going = await stage.client(), await stage.client()
        protocol = await stage.protocol(going)
        staying.send(post("staying"))
        await stage.under_way(1)
        going.send(*sent)
        await stage.under_way(2)
        await going.leave(by_reset=by_reset)
        await until(lambda: protocol not in stage.server.server_state.connections)
        stage.commits.go_on(error)
        assert (await staying.answer()).status == (503 if error else 200)
        await stage.under_way(0)
        stage.commits.go_on()
        assert (await staying.ask(post("still here"))).status == 200

    play(scenario)


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param([], id="alone"),
        pytest.param([post("more")], id="pipeline"),
        pytest.param([request()] * (PAUSE_AT_PIPELINED - 1), id="long pipeline"),
        pytest.param([b"something else\r\n\r\n"], id="something wrong"),
    ],
)
def test_p3_a_claim_takes_nothing_for_a_client_that_has_gone_away(play: Play, behind: list[bytes]) -> None:
    async def scenario(stage: Stage) -> None:
        going, staying = await stage.client(), await stage.client()
        protocol = await stage.protocol(going)
        going.send(claim(wait=60), *behind)
        await until(lambda: len(stage.room) == 1)
        await going.leave()
        await until(lambda: protocol not in stage.server.server_state.connections)
        assert (await staying.ask(post("work"))).status == 200
        assert (await staying.ask(request("/api/queue/pending"))).texts == ["work"]

    play(scenario)
