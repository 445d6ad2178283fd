"""The loop of a bot: wait for work, answer it, and the answer and its completion are one write."""

import asyncio
from collections.abc import Sequence

import structlog

from saywhatwant.bot.personalities import Personality, personality
from saywhatwant.calls import MAX_PAGE, MAX_WAIT_SECONDS, Claim, Complete, Fail, Reply
from saywhatwant.client import ServerRefused, ServerUnavailable, WallClient
from saywhatwant.entities import DEFAULT_ENTITY, ENTITIES
from saywhatwant.message import Message

WAIT_SECONDS = MAX_WAIT_SECONDS / 2
"""One long poll; an idle bot makes one request in this time."""
MAX_PAUSE_SECONDS = 5.0
"""The longest pause between tries to reach a server that is away."""
GONE = {404, 409}
"""Refusals that say the message is not ours any more."""
MAX_ANSWER = 1_000
"""Characters of an answer; the personalities like to repeat what they were told."""


class Bot:
    """Answers for some entities, one message at a time, until cancelled."""

    def __init__(self, client: WallClient, worker_id: str, entities: Sequence[str]) -> None:
        unknown = sorted(set(entities) - set(ENTITIES))
        if unknown:
            raise ValueError(f"no such entity: {', '.join(unknown)}; there are {', '.join(ENTITIES)}")
        self._client = client
        self._worker_id = worker_id
        self._entities = list(entities)
        self._default = DEFAULT_ENTITY if DEFAULT_ENTITY in entities else self._entities[0]
        self._personalities: dict[str, Personality] = {}
        self._log = structlog.get_logger().bind(worker=worker_id)

    async def give_back(self) -> None:
        """Give back what a process of this worker's name held when it died. Only for a name that nobody else uses."""
        for message in await self._client.listing("held", MAX_PAGE):
            if message.bot_params.claimed_by == self._worker_id:
                await self._fail(message, "the worker was restarted")

    async def run(self) -> None:
        """Claim and answer for ever; a server that is away is waited for. Raises ``ServerRefused`` when it lets no bot in."""
        await asyncio.to_thread(self._warm_up)
        pause = 0.0
        claim = Claim(worker_id=self._worker_id, entities=self._entities, wait=WAIT_SECONDS)
        while True:
            await asyncio.sleep(pause)
            try:
                messages = await self._client.claim_next(claim)
            except ServerUnavailable as error:
                pause = min(2 * pause + 0.1, MAX_PAUSE_SECONDS)
                self._log.warning("waiting for the server", error=str(error), pause=round(pause, 1))
                continue
            pause = 0.0
            for message in messages:
                await self._answer(message)

    async def _answer(self, message: Message) -> None:
        attempt = message.bot_params.attempt
        log = self._log.bind(message=message.id, attempt=attempt)
        entity = ENTITIES[message.bot_params.entity or self._default]
        try:
            try:
                text = await asyncio.to_thread(self._respond, entity.name, message.text)
                reply = Reply(text=text, username=entity.display_name, color=entity.color)
                done = await self._client.complete(
                    Complete(message_id=message.id, worker_id=self._worker_id, attempt=attempt, reply=reply)
                )
                log.info("answered", entity=entity.name, reply=done.id)
            except ServerUnavailable:
                raise
            except Exception as error:
                if isinstance(error, ServerRefused) and error.status in GONE:
                    raise
                log.warning("failed", error=repr(error))
                await self._fail(message, str(error) if isinstance(error, ServerRefused) else repr(error))
        except (ServerRefused, ServerUnavailable) as error:
            # The lease has passed on, or will: whoever holds the message next answers it.
            log.warning("dropped", error=str(error))

    async def _fail(self, message: Message, reason: str) -> None:
        attempt = message.bot_params.attempt
        await self._client.fail(Fail(message_id=message.id, worker_id=self._worker_id, attempt=attempt, error=reason))

    def _warm_up(self) -> None:
        for entity in self._entities:
            self._personality(entity)

    def _personality(self, entity: str) -> Personality:
        if entity not in self._personalities:
            self._personalities[entity] = personality(entity)
        return self._personalities[entity]

    def _respond(self, entity: str, text: str) -> str:
        # Their patterns do not look across line breaks, and trip over a percent sign that they repeat.
        answer = self._personality(entity).respond(" ".join(text.split()).replace("%", "\N{FULLWIDTH PERCENT SIGN}"))
        if not answer or not answer.strip():
            raise LookupError(f"{entity} can think of nothing to say")
        return answer.strip()[:MAX_ANSWER]
