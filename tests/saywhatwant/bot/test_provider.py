"""A misbehaving provider: each message gets one answer, or an understandable reason without secrets (P4)."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina
from bot_harness import Harness, Scenario, run
from provider import BEHAVIOURS, EMOJI, HUGE, TEXT, Provider

from saywhatwant.entities import Entities
from saywhatwant.models import MAX_ANSWER, ModelRouter
from saywhatwant.models.chat import ChatModel, circuit
from saywhatwant.models.chat.call import ATTEMPTS
from saywhatwant.models.chat.circuit import FAILURES

KEY = "sk-test-0123456789-never-to-be-seen"
MAX_REASON = 120
"""Characters of a reason that somebody still reads."""
LONG = 60.0
"""Seconds that nothing here takes, on any machine."""

ANSWERED = {
    "good": TEXT,
    "busy": TEXT,
    "forgets-done": TEXT,
    "ends-without-delta": TEXT,
    "ends-with-null": TEXT,
    "controls": TEXT,
    "cuts-an-emoji": EMOJI,
}
"""The reply on the wall."""
FAILED = {
    "hangs": r"sent nothing for .* \(timeout\)",
    "stalls": r"sent nothing for .* \(timeout\)",
    "keeps-alive": r"did not finish within .* \(timeout\)",
    "drips": r"did not finish within .* \(timeout\)",
    "always-busy": r"refused with 429 \(Too Many Requests\)",
    "broken": r"refused with 500",
    "cuts": r"cannot be reached, or broke the connection",
    "ends-early": r"was cut off before the answer was complete",
    "fails-midway": r"reported an error while it answered",
    "rambles": r"reported an error while it answered",
    "null-chunk": r"not part of a chat completion",
    "list-chunk": r"not part of a chat completion",
    "number-chunk": r"not part of a chat completion",
    "surrogate-chunk": r"not part of a chat completion",
    "deep": r"cannot be read",
    "not-text": r"not JSON",
    "empty": r"answer was empty",
    "not-json": r"not JSON",
    "not-sse": r"answered with text/html instead of a stream of events",
    "refuses": r"refused with 401",
    "no-such-model": r"refused with 404",
}
"""Patterns of the public reasons."""
SILENT, ENDLESS = {"hangs", "stalls"}, {"keeps-alive", "drips"}

pytestmark = pytest.mark.usefixtures("no_settings", "no_pauses")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The key of the tests, and no pause between two attempts."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with stamina.set_testing(True, attempts=ATTEMPTS):
        yield


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as started:
        yield started


def entity(name: str, model: str, base_url: str, *more: str) -> str:
    """An entity's part of an entities file."""
    lines = [f"[{name}]", 'display_name = "Probe"', 'color = "169080199"', 'system_prompt = "You are a probe."']
    return "\n".join([*lines, f'model = "{model}"', f'base_url = "{base_url}"', *more]) + "\n"


def answer(
    directory: Path, scenario: Scenario, entities: str, *, idle_seconds: float = LONG, total_seconds: float = LONG
) -> list[str]:
    """Run ``scenario`` next to a bot for all of these entities; returns the lines of its log."""
    file = directory / "entities.toml"
    file.write_text(entities)
    model = ModelRouter(lambda: ChatModel(idle_seconds=idle_seconds, total_seconds=total_seconds))
    return run(scenario, Entities(file), model, names=(), max_attempts=1)


def check_that_people_understand(reason: str) -> None:
    """One line, not too long, and nothing that only programmers read."""
    assert len(reason.splitlines()) == 1
    assert len(reason) <= MAX_REASON
    assert not re.search(r"\w+(Error|Exception|Timeout)\b|Traceback|object at 0x|\bNone\b", reason), reason


def check_that_it_names_no_place(reason: str, provider: Provider, model: str) -> None:
    """Neither host, port, path nor model: everybody can read it (A17)."""
    address = provider.base_url.removeprefix("http://").partition("/")[0]
    for secret in (address, *address.split(":"), "http", "/v1", f"{model} ", KEY[:8]):
        assert secret not in reason


def test_every_behaviour_of_the_provider_has_its_outcome() -> None:
    assert {*ANSWERED, *FAILED, "huge"} == {*BEHAVIOURS, "no-such-model"}


@pytest.mark.parametrize("model", ANSWERED)
def test_p4_what_can_be_answered_is_answered_once(tmp_path: Path, provider: Provider, model: str) -> None:
    async def scenario(harness: Harness) -> None:
        posted = await harness.post(entity="probe")
        await harness.until_complete(posted)
        assert [reply.text for reply in await harness.replies(posted)] == [ANSWERED[model]]

    log = answer(tmp_path, scenario, entity("probe", model, provider.base_url))
    assert provider.authorizations == {f"Bearer {KEY}"}
    assert not any(KEY in line for line in log)


@pytest.mark.parametrize("model", FAILED)
def test_p4_p8_a_failure_has_a_reason_without_secrets(tmp_path: Path, provider: Provider, model: str) -> None:
    reasons: list[str] = []

    async def scenario(harness: Harness) -> None:
        posted = await harness.post(entity="probe")
        reasons.append(await harness.until_failed(posted))
        assert await harness.replies(posted) == []

    idle_seconds, total_seconds = 0.1 if model in SILENT else LONG, 0.1 if model in ENDLESS else LONG
    entities = entity("probe", model, provider.base_url, "loading_seconds = 1")
    log = answer(tmp_path, scenario, entities, idle_seconds=idle_seconds, total_seconds=total_seconds)
    (reason,) = reasons
    assert re.search(FAILED[model], reason), reason
    check_that_people_understand(reason)
    check_that_it_names_no_place(reason, provider, model)
    assert 1 <= provider.requests[model] <= ATTEMPTS
    (line,) = [line for line in log if "'event': 'failed'" in line]
    assert f"{model} at {provider.base_url}" in line, "the log names what the reason does not"
    assert not any("Traceback" in line or KEY[:8] in line for line in log)


@pytest.mark.parametrize("model", ["fails-midway", "rambles"])
def test_the_log_repeats_the_words_of_the_provider_without_the_key(tmp_path: Path, provider: Provider, model: str) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.until_failed(await harness.post(entity="probe"))

    log = answer(tmp_path, scenario, entity("probe", model, provider.base_url))
    assert any("overloaded" in line for line in log)
    assert not any(KEY[:8] in line for line in log)


def test_p4_an_endless_answer_is_cut(tmp_path: Path, provider: Provider) -> None:
    async def scenario(harness: Harness) -> None:
        posted = await harness.post(entity="probe")
        await harness.until_complete(posted)
        (reply,) = await harness.replies(posted)
        assert len(reply.text) <= MAX_ANSWER < HUGE
        assert reply.text.endswith("…")
        assert set(reply.text[:-1].split()) <= {"h", "ha"}

    answer(tmp_path, scenario, entity("probe", "huge", provider.base_url))


def test_p8_a_provider_that_is_away_is_named_in_the_log_alone(tmp_path: Path) -> None:
    with Provider() as gone:
        base_url = gone.base_url

    async def scenario(harness: Harness) -> None:
        reason = await harness.until_failed(await harness.post(entity="probe"))
        assert reason == "the model cannot be reached, or broke the connection"

    log = answer(tmp_path, scenario, entity("probe", "good", base_url))
    assert any(base_url in line for line in log)


def test_p4_a_provider_that_hangs_does_not_keep_others_from_answering(tmp_path: Path, provider: Provider) -> None:
    with Provider() as another:

        async def scenario(harness: Harness) -> None:
            hanging, answered = await harness.post(entity="hangs"), await harness.post(entity="probe")
            await harness.until_complete(answered)
            assert (await harness.message(hanging)).bot_params.status == "processing"

        answer(tmp_path, scenario, entity("hangs", "hangs", another.base_url) + entity("probe", "good", provider.base_url))


@pytest.mark.parametrize(
    ("model", "more"),
    [("no-such-model", ()), ("empty", ()), ("refuses", ('api_key_env = "EXPIRED_KEY"',))],
    ids=["its model is not there", "its model answers nothing", "its key has expired"],
)
def test_p4_an_entity_that_is_set_up_wrong_does_not_silence_its_neighbour(
    tmp_path: Path, provider: Provider, model: str, more: tuple[str, ...]
) -> None:
    async def scenario(harness: Harness) -> None:
        for _ in range(FAILURES):
            await harness.until_failed(await harness.post(entity="wrong"))
        await harness.until_complete(await harness.post(entity="probe"))

    wrong = entity("wrong", model, provider.base_url, *more)
    answer(tmp_path, scenario, wrong + entity("probe", "good", provider.base_url))


def test_p4_a_circuit_opens_for_all_to_see_and_costs_others_nothing(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three failures open it; the messages that follow wait with all their attempts, and its neighbour answers."""
    for name in ("PAUSE_SECONDS", "MAX_PAUSE_SECONDS"):
        monkeypatch.setattr(circuit, name, 3_600)
    with Provider() as another:

        async def scenario(harness: Harness) -> None:
            for _ in range(FAILURES):
                await harness.until_failed(await harness.post(entity="dead"))
            while not (circuits := (await harness.direct.stats()).circuits):  # noqa: ASYNC110 - polls the wall
                await asyncio.sleep(0.002)
            (shown,) = circuits
            assert (shown.worker_id, shown.provider, shown.entities) == ("bot", f"cuts at {another.base_url}", ["dead"])
            assert shown.reason.startswith("the model cannot be reached, or broke the connection: ")
            asked = another.requests["cuts"]
            waiting = [await harness.post(entity="dead") for _ in range(3)]
            await harness.until_complete(await harness.post(entity="probe"))
            assert another.requests["cuts"] == asked
            assert [(await harness.message(message_id)).bot_params.attempt for message_id in waiting] == [0, 0, 0]

        log = answer(tmp_path, scenario, entity("dead", "cuts", another.base_url) + entity("probe", "good", provider.base_url))
        assert any("circuit open" in line and another.base_url in line for line in log)


@pytest.mark.parametrize("behind", ["", "\n", "\r\n"], ids=["", "with a line break", "with one of Windows"])
def test_p8_an_entity_with_its_own_key_sends_no_other(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch, behind: str
) -> None:
    """A key that was read from a file ends with a line break."""
    own = "sk-own-0123456789-never-to-be-seen"
    monkeypatch.setenv("PROBE_KEY", own + behind)

    async def scenario(harness: Harness) -> None:
        await harness.until_complete(await harness.post(entity="probe"))

    log = answer(tmp_path, scenario, entity("probe", "good", provider.base_url, 'api_key_env = "PROBE_KEY"'))
    assert provider.authorizations == {f"Bearer {own}"}
    assert not any(own in line for line in log)


@pytest.mark.parametrize("wrong", ["sk-hidden\nsk-hidden", "sk-hiddén", "sk-\x07-hidden"], ids=ascii)
def test_p8_a_key_that_does_not_fit_a_header_is_never_shown(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """And opens no circuit, which would silence its neighbour."""
    monkeypatch.setenv("WRONG_KEY", wrong)

    async def scenario(harness: Harness) -> None:
        for _ in range(FAILURES):
            reason = await harness.until_failed(await harness.post(entity="wrong"))
            assert reason == "the model's key does not fit a header; see api_key_env"
        await harness.until_complete(await harness.post(entity="probe"))
        assert (await harness.direct.stats()).circuits == []

    own = entity("wrong", "good", provider.base_url, 'api_key_env = "WRONG_KEY"')
    log = answer(tmp_path, scenario, own + entity("probe", "good", provider.base_url))
    assert not any(re.search(r"sk-|hidd", line) for line in log)
    assert provider.authorizations == {f"Bearer {KEY}"}


def test_p8_another_header_that_cannot_be_sent_is_not_shown_either(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is not the provider's fault."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret\n")

    async def scenario(harness: Harness) -> None:
        for _ in range(FAILURES):
            reason = await harness.until_failed(await harness.post(entity="probe"))
            assert reason == "the model cannot be called: a header of the request is not valid in HTTP"
        assert (await harness.direct.stats()).circuits == []

    log = answer(tmp_path, scenario, entity("probe", "good", provider.base_url))
    assert not any("org-secret" in line for line in log)


def test_a_proxy_named_in_the_environment_is_not_asked_for_a_model_on_this_machine(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Provider() as gone:
        proxy = gone.base_url.removesuffix("/v1")
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("NO_PROXY", "")

    async def scenario(harness: Harness) -> None:
        await harness.until_complete(await harness.post(entity="probe"))

    answer(tmp_path, scenario, entity("probe", "good", provider.base_url))
