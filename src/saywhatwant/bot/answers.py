"""Answer one message: call the model, then send reply and completion as one write, or give the message back with the reason."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import structlog
from msgspec import UNSET
from msgspec.structs import replace

from saywhatwant.bot.calls import Calls
from saywhatwant.bot.claims import Claimed
from saywhatwant.bot.identity import identity_of, talk_of
from saywhatwant.bot.reply_stream import ReplyStream
from saywhatwant.bot.writer import Work, Writer
from saywhatwant.client import ClaimedTalk, ServerRefused, ServerUnavailable
from saywhatwant.entities import Entity
from saywhatwant.limits import MAX_CIRCUIT_ENTITIES, MAX_CIRCUIT_REASON, MAX_PROVIDER
from saywhatwant.message import Message, without_controls
from saywhatwant.models import MAX_ANSWER, Model, ModelFailed
from saywhatwant.models.prompt import Memory
from saywhatwant.schemas import CircuitReport, CompleteRequest, CompleteResponse, FailRequest, ReleaseRequest, Reply

UNEXPECTED = "something went wrong in the bot; its log has the error"
"""The public reason; the error itself may contain anything."""
NOT_OURS = {404, 409}
"""Statuses of a refusal because this attempt no longer holds the message."""


class Answers:
    """Answers messages that this worker has claimed."""

    def __init__(self, calls: Calls, worker_id: str, model: Model) -> None:
        self._client = calls.client
        self._calls = calls
        self._worker_id = worker_id
        self._model = model
        self._writer = Writer(model)
        self._max_chars = MAX_ANSWER
        """Of an answer; less once the wall has refused one as too long."""
        self._open_circuits: dict[str, str] = {}
        """The provider of each entity whose circuit the queue shows as open."""
        self._log = structlog.get_logger().bind(worker=worker_id)

    async def answer(self, claimed: Claimed, name: str, serving: Mapping[str, Entity]) -> None:
        """Answer the message as the entity ``name`` of ``serving``, or give it back with the reason."""
        message, entity, line = claimed.message, serving.get(name), self._calls.line
        stream = ReplyStream(self._calls, message, self._worker_id)
        held = None if line is None else line.begin(message.id, message.bot_params.attempt, stream.lose)
        try:
            if entity is None:
                await self.fail(message, f"nobody answers as {name!r} any more")
            else:
                await self._answer(claimed, name, entity, serving, stream)
        finally:
            if line is not None and held is not None:
                line.end(held)

    async def _answer(
        self, claimed: Claimed, name: str, entity: Entity, serving: Mapping[str, Entity], stream: ReplyStream
    ) -> None:
        message = claimed.message
        log = self._log.bind(message=message.id, attempt=message.bot_params.attempt, entity=name)
        try:
            async with stream:
                work = await self._work(message, entity, claimed.talk)
                text, pieces = await self._writer.write(work, stream.show)
                stream.stop_progress()
                done = await self._complete(message, Reply(text=text, **identity_of(entity, message)._asdict()))
            log.info("answered", reply=done.id, waited=_waited(message), seconds=stream.seconds, tokens=pieces)
            await self._report_closed_circuit(name)
        except ModelFailed as error:
            log.warning("failed", error=error.detail, seconds=stream.seconds)
            await self.fail(message, str(error), error.detail)
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
            await self.release(message)
            raise
        except Exception:  # after any error, the message must be given back
            log.exception("failed")
            await self.fail(message, UNEXPECTED)

    async def preview(self, message: Message, name: str, entity: Entity, on_request: Callable[[dict[str, Any]], None]) -> str:
        """The answer that this entity would give; ``on_request`` gets the body of its request. Raises ``ModelFailed``.

        A ``context`` that the client sent is given to the bot that claims the message, and to nobody else.
        """
        talk = None
        if message.bot_params.has_context is not UNSET:
            self._log.warning("the context that its client sent is missing: only a claim returns it", message=message.id)
            talk = ClaimedTalk([], [])
        elif entity.context and entity.reads == "talk":
            conversation = talk_of(message, name)
            newest = await self._client.read(
                limit=entity.context, order="desc", before=message.timestamp, conversation=conversation
            )
            talk = ClaimedTalk(newest[::-1])
        work = await self._work(message, entity, talk)
        on_request(self._model.preview(entity, await self._writer.request(work)))
        return (await self._writer.write(work, lambda *_: None)).text

    async def fail(self, message: Message, reason: str, detail: str = "") -> None:
        """Give the message back with a reason, which is public, and a detail, which is for operators."""
        request = FailRequest(
            message_id=message.id,
            worker_id=self._worker_id,
            attempt=message.bot_params.attempt,
            error=without_controls(reason),
            detail=without_controls(detail),
        )
        with suppress(ServerRefused, ServerUnavailable):
            await self._calls.fail(request)

    async def release(self, message: Message) -> None:
        """Give the message back unanswered. Being stopped is not its fault, so the attempt does not count."""
        attempt = message.bot_params.attempt
        request = ReleaseRequest(message_id=message.id, worker_id=self._worker_id, attempt=attempt)
        with suppress(ServerRefused, ServerUnavailable):
            await self._calls.release(request)

    async def _complete(self, message: Message, reply: Reply) -> CompleteResponse:
        """Send reply and completion; once more, shorter, if the wall takes only shorter texts."""
        attempt = message.bot_params.attempt
        request = CompleteRequest(message_id=message.id, worker_id=self._worker_id, attempt=attempt, reply=reply)
        try:
            return await self._calls.complete(request)
        except ServerRefused as error:
            if error.status != HTTPStatus.UNPROCESSABLE_ENTITY or len(reply.text) <= (most := await self._client.max_text()):
                raise
        self._max_chars = min(self._max_chars, most)
        shorter = replace(reply, text=f"{reply.text[: most - 1].rstrip()}…")
        return await self._calls.complete(replace(request, reply=shorter))

    async def _work(self, message: Message, entity: Entity, talk: ClaimedTalk | None) -> Work:
        memory = Memory()
        if talk is not None and talk.context is not None:
            memory = Memory(strings=talk.context)
        elif entity.context and entity.chatbot is None:
            if entity.reads == "wall":
                newest = await self._client.read(limit=entity.context, order="desc", before=message.timestamp)
                memory = Memory(newest[::-1])
            elif talk is not None:
                memory = Memory(talk.turns[-entity.context :])
        return Work(entity, message, identity_of(entity, message).username, memory, self._max_chars)

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
