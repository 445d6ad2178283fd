"""Models that take minutes to load: a bot can load them when it starts, and keeps a message while its model loads."""

import asyncio
from pathlib import Path

import pytest
from bot_harness import EXTEND, LEASE_SECONDS, PROGRESS, FakeModel, Harness, run
from scripted_models import Loading, ScriptedModel
from scripted_server import ScriptedServer
from server_words import OLLAMA

from saywhatwant.bot import reply_stream
from saywhatwant.entities import Entities, Entity
from saywhatwant.models.chat import ChatModel, chat

pytestmark = pytest.mark.usefixtures("no_settings")

LONG = 60.0
"""Seconds that nothing here takes, on any machine."""


def entities(path: Path, *tables: str) -> Entities:
    head = 'display_name = "Zen"\ncolor = "070140180"\nmodel = "test"\n'
    path.write_text("".join(f"[{table.partition(' ')[0]}]\n{head}{table.partition(' ')[2]}\n" for table in tables))
    return Entities(path)


class Sleeper(FakeModel):
    """A model that never wakes."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: list[str] = []

    async def wake(self, entity: Entity) -> None:
        self.woken.append(entity.about)
        await asyncio.Event().wait()


def test_a_bot_wakes_the_models_that_the_file_names_and_answers_meanwhile(tmp_path: Path) -> None:
    file = entities(tmp_path / "entities.toml", 'zen warm_up = true\nabout = "zen"', 'rude about = "rude"')
    model = Sleeper()

    async def scenario(harness: Harness) -> None:
        for name in ("zen", "rude"):
            await harness.until_complete(await harness.post(entity=name))
        assert model.woken == ["zen"]

    run(scenario, file, model, names=())


def test_p3_a_message_is_kept_while_its_model_loads_and_the_wall_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failure 29, with leases that would have ended meanwhile."""
    monkeypatch.setattr(reply_stream, "HEARTBEATS", 100 * LEASE_SECONDS)
    monkeypatch.setattr(chat, "WAKING_AFTER_SECONDS", 0)
    loading = Loading()
    with ScriptedServer({"test": ScriptedModel("Yes.", words=OLLAMA, loading=loading)}) as server:

        async def scenario(harness: Harness) -> None:
            posted = await harness.post()
            await harness.until_called(PROGRESS)
            await asyncio.to_thread(loading.waiting.wait)
            for _ in range(3):
                harness.runtime.advance(LEASE_SECONDS - 1)
                await harness.until_called(EXTEND, harness.count(EXTEND) + 2)
            loading.finish()
            assert (await harness.until_complete(posted)).bot_params.attempt == 1
            assert [reply.text for reply in await harness.replies(posted)] == ["Yes."]
            assert loading.begun == 1

        file = entities(tmp_path / "entities.toml", f'zen base_url = "{server.base_url}"')
        run(scenario, file, ChatModel(idle_seconds=LONG, total_seconds=LONG))
