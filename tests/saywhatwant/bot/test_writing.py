"""What of a model's words becomes the answer, what readers see meanwhile, and whose name it has (P4)."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import pytest
from bot_harness import COMPLETE, PROGRESS, Harness, run
from structlog.testing import capture_logs
from talking import said
from talking_bot import Recorder, answering, ask, entities, say

from saywhatwant.bot import reply_stream
from saywhatwant.bot.writer import Work, Writer
from saywhatwant.client import WallClient
from saywhatwant.entities import Entity
from saywhatwant.models import Answer, Finished, Piece, Reasoning, Request, Waking
from saywhatwant.models.prompt import Memory
from saywhatwant.schemas import Ok, ProgressRequest

pytestmark = pytest.mark.usefixtures("no_settings")


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        (["Fine.\nHu", "man: And you?\nZen: Good."], "Fine."),
        (["Zen: ", "Fine.\nAda: And you?"], "Fine."),
        (["Fine. EN", "D And more."], "Fine."),
        (["<thi", "nk>Hm.\nHuman: no</think>Fine."], "Fine."),
        (["\x00Fi\x1bne.\nHu\x07man: And you?"], "Fine."),
    ],
    ids=["a role", "names", "a stop", "reasoning", "control characters"],
)
def test_only_the_answer_is_posted(tmp_path: Path, pieces: list[str], answer: str) -> None:
    async def scenario(harness: Harness) -> None:
        assert (await ask(harness, "Why?")).text == answer

    run(scenario, entities(tmp_path, 'stop = ["END"]'), answering(*pieces))


def test_an_answer_that_reaches_its_limit_shows_that_it_goes_on(tmp_path: Path) -> None:
    async def scenario(harness: Harness) -> None:
        assert (await ask(harness, "Why?")).text == "Once upon a time…"

    run(scenario, entities(tmp_path), answering("Once upon", " a time", at_limit=True))


def test_p4_a_wall_that_takes_only_short_texts_gets_a_short_answer(tmp_path: Path) -> None:
    """The original's took 240 characters. The bot learns it from the first refusal."""

    async def scenario(harness: Harness) -> None:
        for _ in range(2):
            reply = await ask(harness, "Why?")
            assert len(reply.text) <= 240
            assert reply.text.endswith("…")
        assert [status for path, status in harness.proxy.statuses if path == COMPLETE] == [422, 200, 200]

    run(scenario, entities(tmp_path), answering("Because it is so. " * 19, "And"), max_text=240)


@pytest.mark.parametrize(
    ("pieces", "at_limit", "reason"),
    [
        (["Human: And you?"], False, "the model wrote as the visitor instead of answering"),
        (["<think>Hm, the user"], True, "the model was still thinking when it reached its limit of tokens"),
        (["<think>Hm.</think>\n"], False, "the model's answer was empty"),
        (["\x07\n"], False, "the model's answer was empty"),
    ],
    ids=["the other side's words", "unfinished reasoning", "reasoning alone", "control characters"],
)
def test_p4_what_leaves_no_answer_fails_with_the_reason(
    tmp_path: Path,
    pieces: list[str],
    at_limit: bool,  # noqa: FBT001
    reason: str,
) -> None:
    async def scenario(harness: Harness) -> None:
        posted = await say(harness, "Why?")
        assert await harness.until_failed(posted) == reason
        assert await harness.replies(posted) == []

    log = run(scenario, entities(tmp_path), answering(*pieces, at_limit=at_limit), max_attempts=1)
    (line,) = [line for line in log if "'event': 'failed'" in line]
    assert f"fake: {reason}; it wrote " in line


def written_with(model: Recorder, directory: Path, *more: str) -> tuple[list[tuple[str, str]], list[str]]:
    """What is shown while the answer to one message is written, and what is logged."""
    shown: list[tuple[str, str]] = []
    entity = entities(directory, *more).current["zen"]
    work = Work(entity, said("Why?"), entity.display_name, Memory())
    with capture_logs() as log:
        asyncio.run(Writer(model).write(work, lambda text, state: shown.append((text, state))))
    return shown, [str(line) for line in log]


def test_what_a_model_does_is_shown_while_it_does_it(tmp_path: Path) -> None:
    """The opening tag is missing: what was shown as the answer is taken back."""
    model = Recorder(
        lambda _: [
            Waking(),
            Reasoning("Hm"),
            Answer("Okay,"),
            Answer(" so.</think>"),
            Answer("Fi"),
            Answer("ne."),
            Finished("stop"),
        ]
    )
    shown, _ = written_with(model, tmp_path)
    assert shown == [
        ("", "waking"),
        ("", "thinking"),
        ("Okay,", "writing"),
        ("", "thinking"),
        ("Fi", "writing"),
        ("Fine.", "writing"),
    ]


def test_a_model_that_goes_on_for_the_other_side_is_stopped_once_it_is_known(tmp_path: Path) -> None:
    """After its first answer, which is read to the end: a closing tag may come, and all before it was reasoning."""
    read: list[int] = []

    class Endless(Recorder):
        async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
            read.append(0)
            async for piece in super().stream(entity, request):
                yield piece
            for _ in range(100):
                read[-1] += 1
                yield Answer("Human: And you?\n")
            yield Finished("length")

    async def scenario(harness: Harness) -> None:
        for _ in range(2):
            assert (await ask(harness, "Why?")).text == "Fine."

    run(scenario, entities(tmp_path), Endless(lambda _: [Answer("Fine.\n")]))
    assert read == [100, 1]


def test_a_model_that_begins_inside_its_reasoning_is_known_after_one_answer(tmp_path: Path) -> None:
    shown: list[str] = []
    entity = entities(tmp_path).current["zen"]
    work = Work(entity, said("Why?"), entity.display_name, Memory())

    async def scenario() -> None:
        writer = Writer(answering("Okay,", " so.</think>Fi", "ne."))
        await writer.write(work, lambda text, _: shown.append(text))
        assert "Okay," in shown
        shown.clear()
        await writer.write(work, lambda text, _: shown.append(text))

    asyncio.run(scenario())
    assert shown == ["", "Fi", "Fine."]


def test_p4_a_tag_that_a_visitor_asked_for_does_not_change_the_answers_to_others(tmp_path: Path) -> None:
    """Else the next answer that reaches its limit would be taken for reasoning without an end."""
    entity = entities(tmp_path).current["zen"]

    def pieces(request: Request) -> list[Piece]:
        if "write" in request.turns[-1].content:
            return [Answer("Here it is: </think> Fine."), Finished("stop")]
        return [Answer("Because it is"), Finished("length")]

    async def scenario() -> None:
        writer = Writer(Recorder(pieces))
        for question, answer in (("Please write </think>.", "Fine."), ("Why?", "Because it is…")):
            work = Work(entity, said(question), entity.display_name, Memory())
            assert (await writer.write(work, lambda *_: None)).text == answer

    asyncio.run(scenario())


def test_operators_are_warned_once_of_a_system_prompt_that_does_not_fit(tmp_path: Path) -> None:
    async def scenario(harness: Harness) -> None:
        for _ in range(2):
            await ask(harness, "Why?")

    file = entities(tmp_path, f'system_prompt = "{"You are Zen. " * 200}"', "context_tokens = 300")
    log = run(scenario, file, answering("Fine."))
    assert sum("the system prompt does not fit" in line for line in log) == 1


def test_operators_may_read_what_a_model_thought(tmp_path: Path) -> None:
    model = Recorder(lambda _: [Reasoning("They want to know. "), Answer("<think>Hm.</think>Fine."), Finished("stop")])
    _, log = written_with(model, tmp_path)
    (line,) = [line for line in log if "They want to know. Hm." in line]
    assert "'log_level': 'debug'" in line


def test_the_progress_of_a_reply_names_what_its_model_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str]] = []
    gate = asyncio.Event()

    async def progress(_: WallClient, request: ProgressRequest) -> Ok:
        sent.append((request.text, request.state))
        gate.set()
        return Ok()

    class Waits(Recorder):
        async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
            async for piece in super().stream(entity, request):
                gate.clear()
                yield piece
                if not isinstance(piece, Finished):
                    await gate.wait()

    monkeypatch.setattr(WallClient, "progress", progress)
    monkeypatch.setattr(reply_stream, "PROGRESS_SECONDS", 0)
    model = Waits(lambda _: [Waking(), Reasoning("Hm"), Answer("Fi"), Answer("ne."), Finished("stop")])

    async def scenario(harness: Harness) -> None:
        assert (await ask(harness, "Why?")).text == "Fine."

    run(scenario, entities(tmp_path), model)
    assert sent == [("", "waking"), ("", "thinking"), ("Fi", "writing"), ("Fine.", "writing")]


@pytest.mark.parametrize("piece", [Waking(), Reasoning("Hm")], ids=["waking", "thinking"])
def test_the_wall_takes_what_a_model_does_before_it_writes(tmp_path: Path, piece: Piece) -> None:
    taken = asyncio.Event()

    class Waits(Recorder):
        async def stream(self, entity: Entity, request: Request) -> AsyncIterator[Piece]:
            yield piece
            await taken.wait()
            async for other in super().stream(entity, request):
                yield other

    async def scenario(harness: Harness) -> None:
        posted = await say(harness, "Why?")
        await harness.until_called(PROGRESS)
        while PROGRESS not in dict(harness.proxy.statuses):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)
        taken.set()
        await harness.until_complete(posted)
        assert dict(harness.proxy.statuses)[PROGRESS] == HTTPStatus.OK

    run(scenario, entities(tmp_path), Waits())


def test_an_answer_appears_under_the_alias_that_the_post_asks_for(tmp_path: Path) -> None:
    model = answering("MyAI: Fine.\nMyAI: And more.")

    async def scenario(harness: Harness) -> None:
        reply = await ask(harness, "Why?", entity=None, ais="MyAI:255069000")
        assert (reply.username, reply.color, reply.text) == ("MyAI", "255069000", "Fine.")
        one, same = [await ask(harness, "Why?", entity=None, ais="MyAI:random") for _ in range(2)]
        assert one.username == "MyAI"
        assert one.color == same.color
        channels = sorted(int(one.color[place : place + 3]) for place in (0, 3, 6))
        assert channels[0] == 80
        assert all(150 <= channel <= 230 for channel in channels[1:])
        assert (await ask(harness, "Why?")).username == "Zen"

    run(scenario, entities(tmp_path, "alias = true"), model)


def test_an_alias_counts_only_where_the_entities_file_allows_it(tmp_path: Path) -> None:
    """A post to anyone may ask for one; the entity that answers decides."""

    async def scenario(harness: Harness) -> None:
        reply = await ask(harness, "Why?", entity=None, ais="MyAI:255069000")
        assert (reply.username, reply.color) == ("Zen", "070140180")

    run(scenario, entities(tmp_path), answering("Fine."))
