"""A model that takes long: the bot that asked it keeps the message, and no other gets it (P3)."""

import asyncio

import pytest
from bot_harness import CLAIM, EXTEND, LEASE_SECONDS, Harness, SlowModel, run_alone, stop

from saywhatwant.bot import reply_stream

BOTS = 5
HEARTBEATS = 3
EXPIRES_SOON = LEASE_SECONDS - 1
"""By the simulated clock, which only the test moves: each step is nearly a lease."""

pytestmark = pytest.mark.usefixtures("no_settings")


def test_p3_failure_3_five_bots_answer_a_slow_message_once_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer takes three leases, each renewed by a heartbeat."""
    monkeypatch.setattr(reply_stream, "HEARTBEATS", 100_000)

    async def scenario(harness: Harness) -> None:
        models = [SlowModel() for _ in range(BOTS)]
        bots = [asyncio.create_task(harness.new_bot(f"bot-{number}", model).run()) for number, model in enumerate(models)]
        await harness.until_called(CLAIM, BOTS)
        posted = await harness.post()
        await asyncio.wait([asyncio.create_task(model.asked.wait()) for model in models], return_when=asyncio.FIRST_COMPLETED)
        for _ in range(HEARTBEATS):
            harness.runtime.advance(EXPIRES_SOON)
            # The one that is under way may have been before the step; the next one is not.
            await harness.until_called(EXTEND, harness.count(EXTEND) + 2)
        for model in models:
            model.done.set()
        message = await harness.until_complete(posted)
        assert message.bot_params.attempt == 1
        assert len(await harness.replies(posted)) == 1
        assert sum(model.asked.is_set() for model in models) == 1
        for bot in bots:
            await stop(bot)

    run_alone(scenario)
