"""The bot of ``sww up``: restarted after any error, so that the wall keeps answering."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from saywhatwant.addresses import url_from_here
from saywhatwant.bot import Bot
from saywhatwant.client import ServerRefused, ServerUnavailable, WallClient
from saywhatwant.commands.answering import model_router, random_worker_id
from saywhatwant.commands.connect import silence_retries
from saywhatwant.commands.log import set_up_structlog
from saywhatwant.entities import Entities
from saywhatwant.settings import Settings

RESTART_SECONDS = 5.0
"""Pause before the bot is restarted after an error."""
ID_FILE = "bot-id"


async def keep_answering(url: str, settings: Settings, entities: Entities, names: Sequence[str]) -> None:
    """Run the bot of the server at ``url`` in this process, until cancelled."""
    set_up_structlog()
    silence_retries()
    address = urlsplit(url)
    here = url_from_here(address.hostname or "", address.port or 0)
    log = structlog.get_logger()
    async with WallClient(here, settings.token, is_here=True) as client, aclosing(model_router(settings)) as router:
        bot = Bot(client, worker_id(settings.data), entities, router, names=names)
        while True:
            try:
                # One process at a time uses this data, so messages held under this id were claimed by one that died.
                await bot.release_held()
                await bot.run()
            except (ServerRefused, ServerUnavailable) as error:
                log.error("the bot has stopped and is restarted", error=str(error))  # noqa: TRY400 - the message is complete
            except Exception:  # after any error, messages must be answered
                log.exception("the bot has stopped and is restarted")
            await asyncio.sleep(RESTART_SECONDS)


def worker_id(data: Path) -> str:
    """The worker id of this data directory: random, made at the first start.

    If it cannot be stored (a full disk), each start gets a new one, and messages held by a killed process wait until their
    leases end.
    """
    file = data / ID_FILE
    with suppress(OSError, UnicodeDecodeError):
        if re.fullmatch(r"up-[a-z0-9]{8}", known := file.read_text(encoding="ascii").strip()):
            return known
    new = random_worker_id("up")
    try:
        file.write_text(f"{new}\n", encoding="ascii")
    except OSError as error:
        structlog.get_logger().warning("the worker id is not stored", file=str(file), error=error.strerror)
    return new
