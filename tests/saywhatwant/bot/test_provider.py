"""Real bots, and a provider that behaves as badly as providers do: one answer, or a reason that people understand (P4)."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from provider import BEHAVIOURS, EMOJI, HUGE, TEXT, Provider

from conftest import StartServer
from servers import DEADLINE_SECONDS, SWW, Server, environment, until

KEY = "sk-test-0123456789-never-to-be-seen"
MAX_TEXT = 5_000
MAX_REASON = 300
"""Characters of a reason that somebody still reads."""
ATTEMPTS = 2
REQUESTS = 5
"""The most that one attempt may ask a provider that is in trouble already."""

ANSWERED = {
    "good": TEXT,
    "busy": TEXT,
    "forgets-done": TEXT,
    "ends-without-delta": TEXT,
    "ends-with-null": TEXT,
    "controls": TEXT,
    "cuts-an-emoji": EMOJI,
}
"""What comes on the wall."""
FAILED = {
    "hangs": r"time",
    "stalls": r"time",
    "keeps-alive": r"time|not done",
    "drips": r"time|not done",
    "always-busy": r"429|busy|rate limit|too many",
    "broken": r"500",
    "cuts": r"connection|cut off",
    "ends-early": r"cut off|incomplete|before the answer was complete",
    "fails-midway": r"overloaded",
    "rambles": r"overloaded",
    "null-chunk": r"no part of a chat completion",
    "list-chunk": r"no part of a chat completion",
    "number-chunk": r"no part of a chat completion",
    "surrogate-chunk": r"no part of a chat completion",
    "deep": r"can not be read",
    "not-text": r"can not be read",
    "empty": r"empty|nothing|no text",
    "not-json": r"json",
    "not-sse": r"html|event-stream|not a stream|empty|nothing",
    "refuses": r"401",
    "no-such-model": r"404|does not exist",
}
"""What the reason has to name."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as started:
        yield started


def entity(name: str, model: str, base_url: str, *more: str) -> str:
    """An entity's part of an entities file."""
    lines = [
        f"[{name}]",
        'display_name = "Probe"',
        'color = "169080199"',
        'system_prompt = "You are a probe."',
        f'model = "{model}"',
        f'base_url = "{base_url}"',
        *more,
    ]
    return "\n".join(lines) + "\n"


class Scene:
    """A server, and a bot at work for some entities of the file ``entities``."""

    def __init__(self, server: Server, directory: Path, entities: str) -> None:
        self.server = server
        self._file = directory / "entities.toml"
        self._file.write_text(entities)
        self._log = directory / "bot-stderr"
        self._bot: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What the bot has said on standard error."""
        return self._log.read_text()

    @contextmanager
    def bot(self, *names: str, **variables: str) -> Iterator[None]:
        """While entered, the bot answers; it ends as ``systemctl stop`` ends it."""
        command = [str(SWW), "bot", "--url", self.server.url, "--entities", str(self._file), "--worker-id", "probe-bot"]
        with (
            self._log.open("ab") as log,
            subprocess.Popen(
                [*command, *(part for name in names for part in ("--entity", name))],
                cwd=self._file.parent,
                env=environment(model_idle_seconds=0.5, model_seconds=2) | {"OPENAI_API_KEY": KEY} | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            ) as process,
        ):
            self._bot = process
            try:
                yield
                self.check_that_the_bot_is_there()
                process.terminate()
                process.wait(DEADLINE_SECONDS)
            finally:
                process.kill()

    def check_that_the_bot_is_there(self) -> None:
        assert self._bot is not None
        assert self._bot.poll() is None, f"the bot has ended: {self.log}"

    def post(self, name: str) -> str:
        body = {"text": "Why is space black?", "username": "Human", "color": "169080199", "botParams": {"entity": name}}
        answer = self.server.http.post("/api/comments", json=body)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def wall(self) -> list[dict[str, Any]]:
        return list(self.server.http.get("/api/comments", params={"order": "asc"}).raise_for_status().json())

    def message(self, message_id: str) -> dict[str, Any]:
        (found,) = [message for message in self.wall() if message["id"] == message_id]
        return found

    def finished(self, message_id: str) -> dict[str, Any]:
        """The message's botParams, once it is answered or failed."""

        def look() -> dict[str, Any] | None:
            self.check_that_the_bot_is_there()
            params: dict[str, Any] = self.message(message_id)["botParams"]
            return params if params["status"] in {"complete", "failed"} else None

        return until(look, "the end of the message", every=0.05)

    def replies(self, message_id: str) -> list[str]:
        return [message["text"] for message in self.wall() if message["replyTo"] == message_id]

    def queue(self) -> str:
        """What ``sww queue`` shows."""
        env = environment() | {"COLUMNS": "1000"}
        command = [str(SWW), "queue", "--url", self.server.url]
        shown = subprocess.run(command, env=env, cwd=self._file.parent, capture_output=True, text=True, check=True)
        return shown.stdout


class StartScene:
    """Starts a scene of a test's own."""

    def __init__(self, start_server: StartServer, directory: Path) -> None:
        self._start_server = start_server
        self._directory = directory

    def __call__(self, entities: str) -> Scene:
        server = self._start_server(lease_seconds=5, max_attempts=ATTEMPTS, backoff_seconds=0.05)
        return Scene(server, self._directory, entities)


@pytest.fixture
def start_scene(start_server: StartServer, tmp_path: Path) -> StartScene:
    return StartScene(start_server, tmp_path)


def check_that_people_understand(reason: str) -> None:
    """One line, not too long, and none of what only programmers read."""
    assert len(reason.splitlines()) == 1
    assert len(reason) <= MAX_REASON
    assert not re.search(r"\w+(Error|Exception|Timeout)\b|Traceback|object at 0x|\bNone\b", reason), reason


def test_every_behaviour_of_the_provider_is_told_how_it_should_end() -> None:
    assert {*ANSWERED, *FAILED, "huge"} == {*BEHAVIOURS, "no-such-model"}


@pytest.mark.parametrize("model", ANSWERED)
def test_p4_what_can_be_answered_is_answered_once(start_scene: StartScene, provider: Provider, model: str) -> None:
    scene = start_scene(entity("probe", model, provider.base_url))
    with scene.bot("probe"):
        posted = scene.post("probe")
        assert scene.finished(posted)["status"] == "complete", scene.log
    assert scene.replies(posted) == [ANSWERED[model]]
    assert provider.authorizations == {f"Bearer {KEY}"}
    assert KEY not in scene.log


@pytest.mark.parametrize("model", FAILED)
def test_p4_what_can_not_be_answered_fails_with_a_reason_that_people_understand(
    start_scene: StartScene, provider: Provider, model: str
) -> None:
    scene = start_scene(entity("probe", model, provider.base_url))
    with scene.bot("probe"):
        posted = scene.post("probe")
        params = scene.finished(posted)
    assert params["status"] == "failed", scene.replies(posted)
    assert scene.replies(posted) == []
    assert 1 <= provider.requests[model] <= ATTEMPTS * REQUESTS
    reason = params["error"]
    own_words = reason.replace(provider.base_url, "").replace(model, "")
    assert re.search(FAILED[model], own_words, re.IGNORECASE), reason
    check_that_people_understand(reason)
    assert reason in scene.queue()
    assert "Traceback" not in scene.log
    assert KEY[:8] not in scene.log + reason  # nor its beginning


def test_p4_an_answer_without_end_is_cut_to_what_the_wall_takes_or_fails(start_scene: StartScene, provider: Provider) -> None:
    scene = start_scene(entity("probe", "huge", provider.base_url))
    with scene.bot("probe"):
        posted = scene.post("probe")
        params = scene.finished(posted)
    if params["status"] == "complete":
        (reply,) = scene.replies(posted)
        assert 1 <= len(reply) <= MAX_TEXT < HUGE
        assert set(reply.split()) <= {"h", "ha"}
    else:
        assert scene.replies(posted) == []
        check_that_people_understand(params["error"])
    assert KEY not in scene.log


def test_p4_a_provider_that_is_away_is_named(start_scene: StartScene) -> None:
    with Provider() as gone:
        base_url = gone.base_url
    scene = start_scene(entity("probe", "good", base_url))
    with scene.bot("probe"):
        params = scene.finished(scene.post("probe"))
    assert params["status"] == "failed"
    assert base_url in params["error"]
    assert re.search(r"reach|connect", params["error"]), params["error"]
    check_that_people_understand(params["error"])


def test_p4_a_provider_that_hangs_does_not_keep_others_from_answering(start_scene: StartScene, provider: Provider) -> None:
    with Provider() as another:
        scene = start_scene(entity("hangs", "hangs", another.base_url) + entity("probe", "good", provider.base_url))
        with scene.bot():
            hanging, answered = scene.post("hangs"), scene.post("probe")
            assert scene.finished(answered)["status"] == "complete"
            assert scene.message(hanging)["botParams"]["status"] != "failed"
            assert scene.finished(hanging)["status"] == "failed"
    assert scene.replies(answered) == [TEXT]


@pytest.mark.parametrize(
    ("model", "more"),
    [("no-such-model", ()), ("empty", ()), ("refuses", ('api_key_env = "EXPIRED_KEY"',))],
    ids=["its model is not there", "its model has nothing to say", "its key has expired"],
)
def test_p4_one_entity_that_is_set_up_wrong_does_not_silence_another_at_its_provider(
    start_scene: StartScene, provider: Provider, model: str, more: tuple[str, ...]
) -> None:
    scene = start_scene(entity("wrong", model, provider.base_url, *more) + entity("probe", "good", provider.base_url))
    with scene.bot():
        for _ in range(3):
            assert scene.finished(scene.post("wrong"))["status"] == "failed"
        answered = scene.finished(scene.post("probe"))
    assert answered["status"] == "complete", answered["error"]


def test_p4_the_bot_answers_again_when_its_provider_does(start_scene: StartScene, provider: Provider) -> None:
    """Here while the file of entities is mended, with the bot at work."""
    scene = start_scene(entity("probe", "broken", provider.base_url))
    with scene.bot("probe"):
        assert scene.finished(scene.post("probe"))["status"] == "failed"
        with Provider() as another:
            scene._file.write_text(entity("probe", "good", another.base_url))
            until(lambda: scene.finished(scene.post("probe"))["status"] == "complete", "an answer")


def test_p4_a_dead_provider_is_left_alone_in_sight_of_all_and_costs_others_nothing(
    start_scene: StartScene, provider: Provider
) -> None:
    """Three failures open the circuit; the messages that follow wait with all their attempts, and its neighbour answers."""
    with Provider() as another:
        scene = start_scene(entity("dead", "cuts", another.base_url) + entity("probe", "good", provider.base_url))
        with scene.bot():
            assert scene.finished(scene.post("dead"))["status"] == "failed"
            scene.post("dead")
            until(lambda: "circuit open" in scene.queue(), "the open circuit")
            asked = another.requests["cuts"]
            waiting = [scene.post("dead") for _ in range(3)]
            assert scene.finished(scene.post("probe"))["status"] == "complete"
            shown, metrics = scene.queue(), scene.server.http.get("/metrics").text
            attempts = [scene.message(message_id)["botParams"]["attempt"] for message_id in waiting]
    (line,) = [line for line in shown.splitlines() if line.startswith("circuit open")]
    assert re.search(r"probe-bot leaves \S+/v1 \(dead\) alone for \d+ s more: .*connection", line), line
    assert f'sww_circuit_open{{provider="{another.base_url}",worker="probe-bot"}} 1.0' in metrics
    assert another.requests["cuts"] == asked
    assert attempts == [0, 0, 0]


def test_p4_a_reason_that_no_wall_takes_as_it_is_is_told_of_an_open_circuit_too(
    start_scene: StartScene, provider: Provider
) -> None:
    scene = start_scene(entity("probe", "rambles", provider.base_url))
    with scene.bot("probe"):
        assert scene.finished(scene.post("probe"))["status"] == "failed"
        scene.post("probe")
        until(lambda: "circuit open" in scene.queue(), "the open circuit")
        shown = scene.queue()
    assert re.search(r"circuit open.* alone for \d+ s more: overloaded so so", shown), shown
    assert KEY[:8] not in shown


@pytest.mark.parametrize("behind", ["", "\n", "\r\n"], ids=["", "with a line break", "with one of Windows"])
def test_an_entity_may_have_a_key_of_its_own_and_no_other_is_sent_for_it(
    start_scene: StartScene, provider: Provider, behind: str
) -> None:
    """A line break stands behind it where it came from a file."""
    own = "sk-own-0123456789-never-to-be-seen"
    scene = start_scene(entity("probe", "good", provider.base_url, 'api_key_env = "PROBE_KEY"'))
    with scene.bot("probe", PROBE_KEY=own + behind):
        params = scene.finished(scene.post("probe"))
    assert params["status"] == "complete", params["error"]
    assert provider.authorizations == {f"Bearer {own}"}
    assert own not in scene.log


@pytest.mark.parametrize("wrong", ["sk-hidden\nsk-hidden", "sk-hiddén", "sk-\x07-hidden"], ids=ascii)
def test_p8_a_key_that_does_not_fit_a_header_is_never_shown_and_costs_no_neighbour_its_provider(
    start_scene: StartScene, provider: Provider, wrong: str
) -> None:
    own = entity("wrong", "good", provider.base_url, 'api_key_env = "WRONG_KEY"')
    scene = start_scene(own + entity("probe", "good", provider.base_url))
    with scene.bot(WRONG_KEY=wrong):
        failed = [scene.finished(scene.post("wrong")) for _ in range(3)]
        answered = scene.finished(scene.post("probe"))
        shown = scene.queue()
    assert answered["status"] == "complete", answered["error"]
    for params in failed:
        assert params["status"] == "failed"
        assert "its key does not fit a header; see api_key_env" in params["error"]
        check_that_people_understand(params["error"])
    assert "circuit open" not in shown
    assert not re.search(r"sk-|hidd", scene.log + shown + str(scene.wall()))
    assert provider.authorizations == {f"Bearer {KEY}"}


def test_p8_another_header_that_can_not_be_sent_is_not_shown_either_and_not_taken_for_the_providers_fault(
    start_scene: StartScene, provider: Provider
) -> None:
    scene = start_scene(entity("probe", "good", provider.base_url))
    with scene.bot("probe", OPENAI_ORG_ID="org-secret\n"):
        failed = [scene.finished(scene.post("probe")) for _ in range(3)]
        shown = scene.queue()
    assert {params["status"] for params in failed} == {"failed"}
    assert "does not fit HTTP" in failed[0]["error"]
    assert "circuit open" not in shown
    assert "org-secret" not in scene.log + shown + str(scene.wall())


def test_a_proxy_named_in_the_environment_is_not_asked_for_a_model_on_this_machine(
    start_scene: StartScene, provider: Provider
) -> None:
    with Provider() as gone:
        proxy = gone.base_url.removesuffix("/v1")
    scene = start_scene(entity("probe", "good", provider.base_url))
    proxies = {"HTTP_PROXY": proxy, "ALL_PROXY": proxy, "NO_PROXY": ""}
    with scene.bot("probe", **proxies, **{name.lower(): value for name, value in proxies.items()}):
        params = scene.finished(scene.post("probe"))
    assert params["status"] == "complete", params["error"]
