"""Claim scheduling: long polls merge, and none waits longer than the server allows (P4)."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec
import pytest
from bot_harness import CLAIM, FakeModel, Harness, entities_file, run

from saywhatwant.bot import claims as module
from saywhatwant.bot.claims import MANY_CLAIMS, MERGE_SECONDS, Claims
from saywhatwant.client import ClaimedNext, WallClient
from saywhatwant.entities import Entities, Entity
from saywhatwant.limits import MAX_ENTITIES, MAX_WAIT_SECONDS
from saywhatwant.schemas import ClaimRequest, Conflict

pytestmark = pytest.mark.usefixtures("no_settings")


class Recorder(WallClient):
    """A client whose claims are recorded and never answered."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1")
        self.claims: list[ClaimRequest] = []

    async def claim_next(self, claim: ClaimRequest) -> ClaimedNext:
        self.claims.append(claim)
        await asyncio.Event().wait()
        raise AssertionError


class Clock:
    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def waits_of(
    calls: list[list[str]], clock: Clock, step: float = 0.0, serving: Mapping[str, Entity] | None = None
) -> list[ClaimRequest]:
    """The claims that these calls of ``start`` make, ``step`` seconds apart."""

    async def scenario() -> list[ClaimRequest]:
        client = Recorder()
        claims = Claims(client, "bot", lambda: serving or {}, clock=clock)
        for names in calls:
            claims.start(names)
            clock.now += step
        await asyncio.sleep(0)
        await claims.cancel()
        return client.claims

    return asyncio.run(scenario())


def test_an_entity_is_in_one_long_poll_at_a_time() -> None:
    found = waits_of([["zen"], ["zen", "eliza"], ["eliza", "zen", "rude"]], Clock())
    assert [claim.entities for claim in found] == [["zen"], ["eliza"], ["rude"]]


def test_a_claim_names_no_more_entities_than_it_may() -> None:
    found = waits_of([[f"entity-{number}" for number in range(MAX_ENTITIES + 1)]], Clock())
    assert [len(claim.entities or ()) for claim in found] == [MAX_ENTITIES, 1]


def test_claims_made_later_end_with_the_first() -> None:
    found = waits_of([["a"], ["b"], ["c"]], Clock(), step=10)
    assert [claim.wait for claim in found] == [MAX_WAIT_SECONDS, MAX_WAIT_SECONDS - 10, MAX_WAIT_SECONDS - 20]


def test_above_many_claims_new_ones_are_short() -> None:
    found = waits_of([[f"entity-{number}"] for number in range(MANY_CLAIMS + 2)], Clock())
    assert {claim.wait for claim in found[:MANY_CLAIMS]} == {MAX_WAIT_SECONDS}
    assert {claim.wait for claim in found[MANY_CLAIMS:]} == {MERGE_SECONDS}


def test_a_claim_asks_for_as_much_of_a_talk_as_its_entities_read(tmp_path: Path) -> None:
    """A chatbot reads nothing; one that reads the wall needs what a client may have sent."""
    file = tmp_path / "entities.toml"
    head = 'display_name = "Probe"\ncolor = "070140180"\n'
    file.write_text(
        f'[short]\n{head}model = "fake"\ncontext = 4\n[long]\n{head}model = "fake"\ncontext = 40\n'
        f'[bot]\n{head}model = "nltk:zen"\n[wall]\n{head}model = "fake"\nreads = "wall"\n'
    )
    serving = Entities(file).current
    found = waits_of([["short", "long", "bot"], ["wall"]], Clock(), serving=serving) + waits_of(
        [["bot"]], Clock(), serving=serving
    )
    assert [claim.context for claim in found] == [40, 40, 40]
    assert all(claim.personas == {name: serving[name].persona_digest for name in serving} for claim in found)
    (wall,) = waits_of([["wall"]], Clock(), serving={"wall": serving["wall"]})
    (bot,) = waits_of([["bot"]], Clock(), serving={"bot": serving["bot"]})
    assert (wall.context, bot.context) == (1, 0)


def test_another_bot_with_another_persona_is_logged_once() -> None:
    conflict = Conflict(entity="zen", worker_id="another")

    async def scenario(harness: Harness) -> None:
        answer = msgspec.json.encode({"messages": [], "conflicts": [conflict]})
        harness.proxy.instead[CLAIM] = [httpx.Response(200, content=answer) for _ in range(3)]
        await harness.until_complete(await harness.post())
        assert not harness.proxy.instead[CLAIM]

    log = run(scenario, model=FakeModel())
    (line,) = [line for line in log if "another bot answers for this entity" in line]
    assert "'other': 'another'" in line


def test_p4_no_claim_waits_longer_than_allowed_though_a_float_is_rounded() -> None:
    """What a float loses just below a power of two made claims wait a little longer than the server takes."""
    uptime = 2**15 - 30 + 3 * 2**-38
    assert uptime + MAX_WAIT_SECONDS - uptime > MAX_WAIT_SECONDS
    (claim,) = waits_of([["zen"]], Clock(uptime))
    assert claim.wait == MAX_WAIT_SECONDS


def test_p4_a_hundred_entities_that_were_all_just_asked_are_soon_asked_for_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MERGE_SECONDS", 0.02)
    names = [f"entity-{number}" for number in range(100)]

    async def scenario(harness: Harness) -> None:
        asked = [await harness.post(entity=name) for name in names]
        for message_id in asked:
            assert (await harness.until_complete(message_id)).bot_params.attempt == 1
        while len(harness.bot._claims.tasks) > MANY_CLAIMS + 2:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)

    run(scenario, entities_file(tmp_path / "entities.toml", *names), FakeModel(), names=())
