"""Answer one message: call the model, then send reply and completion as one write, or give the message back with the reason."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from saywhatwant.bot.reply_stream import ReplyStream
from saywhatwant.client import ServerRefused, ServerUnavailable, WallClient
from saywhatwant.entities import Entity
from saywhatwant.limits import MAX_CIRCUIT_ENTITIES, MAX_CIRCUIT_REASON, MAX_PROVIDER
from saywhatwant.message import Message, without_controls
from saywhatwant.models import Answer, Model, ModelFailed, Request, Turn
from saywhatwant.schemas import CircuitReport, CompleteRequest, FailRequest, Reply

UNEXPECTED = "something went wrong in the bot; its log has the error"
"""The public reason; the error itself may contain anything."""
NOT_OURS = {404, 409}
"""Statuses of a refusal because this attempt no longer holds the message."""


class Answers:
    """Answers messages that this worker has claimed."""

    def __init__(self, client: WallClient, worker_id: str, model: Model) -> None:
        self._client = client
        self._worker_id = worker_id
        self._model = model
        self._open_circuits: dict[str, str] = {}
        """The provider of each entity whose circuit the queue shows as open."""
        self._log = structlog.get_logger().bind(worker=worker_id)

    async def answer(self, message: Message, name: str, serving: Mapping[str, Entity]) -> None:
        """Answer ``message`` as the entity ``name`` of ``serving``, or give it back with the reason."""
        entity = serving.get(name)
        if entity is None:
            await self.fail(message, f"nobody answers as {name!r} any more")
            return
        log = self._log.bind(message=message.id, attempt=message.bot_params.attempt, entity=name)
        stream = ReplyStream(self._client, message, self._worker_id)
        try:
            async with stream:
                text = await self.think(message, entity, stream.push)
                stream.stop_progress()
                done = await self._client.complete(
                    CompleteRequest(
                        message_id=message.id,
                        worker_id=self._worker_id,
                        attempt=message.bot_params.attempt,
                        reply=Reply(text=text, username=entity.display_name, color=entity.color),
                    )
                )
            log.info("answered", reply=done.id, waited=_waited(message), seconds=stream.seconds, tokens=stream.pieces)
            await self._report_closed_circuit(name)
        except ModelFailed as error:
            log.warning("failed", error=error.detail, seconds=stream.seconds)
            await self.fail(message, str(error))
            await self._report_open_circuit(entity, serving)
        except ServerRefused as error:
            if error.status in NOT_OURS:
                log.warning("reply not accepted: this attempt no longer holds the message", error=str(error))
                return
            log.warning("failed", error=str(error), seconds=stream.seconds)
            await self.fail(message, str(error))
        except ServerUnavailable as error:
            log.warning("dropped: the server is away", error=str(error))
        except asyncio.CancelledError:
            log.info("given back")
            await self.fail(message, "the worker was stopped")
            raise
        except Exception:  # after any error, the message must be given back
            log.exception("failed")
            await self.fail(message, UNEXPECTED)

    async def think(self, message: Message, entity: Entity, on_piece: Callable[[str], None]) -> str:
        """The model's reply; ``on_piece`` is called with each piece. Raises ``ModelFailed``."""
        pieces = []
        async for piece in self._model.stream(entity, Request(await self._turns(message, entity))):
            if isinstance(piece, Answer):
                pieces.append(piece.text)
                on_piece(piece.text)
        text = without_controls("".join(pieces))
        if not text:
            raise ModelFailed("the model's answer was empty", f"{entity.model} answered with nothing but control characters")
        return text

    async def fail(self, message: Message, reason: str) -> None:
        """Give the message back with a reason, which is public."""
        attempt, error = message.bot_params.attempt, without_controls(reason)
        with suppress(ServerRefused, ServerUnavailable):
            await self._client.fail(FailRequest(message_id=message.id, worker_id=self._worker_id, attempt=attempt, error=error))

    async def _turns(self, message: Message, entity: Entity) -> list[Turn]:
        turns = [Turn("system", entity.system_prompt)] if entity.system_prompt else []
        if entity.context:
            # One more than needed, since the message itself is usually among the newest.
            newest = await self._client.read(limit=entity.context + 1, order="desc")
            earlier = [other for other in reversed(newest) if other.timestamp < message.timestamp]
            for other in earlier[-entity.context :]:
                own = other.username == entity.display_name and other.message_type == "AI"
                turns.append(Turn("assistant", other.text) if own else Turn("user", f"{other.username}: {other.text}"))
        return [*turns, Turn("user", message.text)]

    async def _report_open_circuit(self, entity: Entity, serving: Mapping[str, Entity]) -> None:
        """Show in the queue that the circuit of this entity's provider is open, if it is."""
        circuit = self._model.open_circuit(entity)
        if circuit is None:
            return
        self._log.warning("circuit open", provider=circuit.provider, seconds=round(circuit.seconds), reason=circuit.reason)
        circuits = {name: self._model.open_circuit(other) for name, other in serving.items()}
        names = [name for name, other in circuits.items() if other and other.provider == circuit.provider]
        self._open_circuits |= dict.fromkeys(names, circuit.provider)
        await self._report(circuit.provider, names, circuit.seconds, circuit.reason)

    async def _report_closed_circuit(self, name: str) -> None:
        """Report that this entity's answer has closed its provider's circuit, if the queue shows it as open."""
        provider = self._open_circuits.get(name)
        if provider is None:
            return
        self._log.info("circuit closed", provider=provider)
        self._open_circuits = {other: place for other, place in self._open_circuits.items() if place != provider}
        await self._report(provider, [], 0, "")

    async def _report(self, provider: str, names: list[str], seconds: float, reason: str) -> None:
        report = CircuitReport(
            worker_id=self._worker_id,
            provider=provider[:MAX_PROVIDER],
            entities=names[:MAX_CIRCUIT_ENTITIES],
            seconds=seconds,
            reason=without_controls(reason)[:MAX_CIRCUIT_REASON],
        )
        with suppress(ServerRefused, ServerUnavailable):
            await self._client.report_circuit(report)


def _waited(message: Message) -> float:
    """Seconds between its post and its claim."""
    return round(((message.bot_params.claimed_at or 0) - message.timestamp) / 1_000, 2)
