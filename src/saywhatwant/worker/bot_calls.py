"""The calls of a bot that holds a message, by HTTP or socket: the checks that decoding cannot make, then the wall."""

from saywhatwant import schemas
from saywhatwant.message import clean_text, clean_username
from saywhatwant.topology import Wall
from saywhatwant.worker.bots import Bots
from saywhatwant.worker.queue_events import QueueEvents


class BotCalls:
    """Each raises ``InvalidField``, and what the wall raises."""

    def __init__(self, wall: Wall, queue_events: QueueEvents, bots: Bots, max_text: int) -> None:
        self._wall = wall
        self._queue_events = queue_events
        self._bots = bots
        self._max_text = max_text

    async def complete(self, body: schemas.CompleteRequest) -> schemas.CompleteResponse:
        """Finish a message, together with its reply."""
        self._bots.calls(body.worker_id)
        reply = body.reply
        if reply is not None:
            reply = schemas.Reply(
                text=clean_text(reply.text, self._max_text, "reply.text"),
                username=None if reply.username is None else clean_username(reply.username, "reply.username"),
                color=reply.color,
            )
        return await self._wall.complete(body.message_id, body.worker_id, body.attempt, reply)

    async def extend(self, body: schemas.ExtendRequest) -> schemas.ExtendResponse:
        """Heartbeat."""
        self._bots.calls(body.worker_id)
        return await self._wall.extend(body.message_id, body.worker_id, body.attempt)

    async def fail(self, body: schemas.FailRequest) -> schemas.FailResponse:
        """Give a message back with a reason."""
        self._bots.calls(body.worker_id)
        return await self._wall.fail(
            body.message_id, body.worker_id, body.attempt, body.error, retry=body.retry, detail=body.detail
        )

    async def release(self, body: schemas.ReleaseRequest) -> schemas.FailResponse:
        """Give a message back unanswered."""
        self._bots.calls(body.worker_id)
        return await self._wall.release(body.message_id, body.worker_id, body.attempt)

    async def progress(self, body: schemas.ProgressRequest) -> schemas.Ok:
        """Show a reply being written."""
        self._bots.calls(body.worker_id)
        text = ""
        if body.state == "writing" or body.text.strip():
            text = clean_text(body.text, self._max_text)
        await self._queue_events.start()  # for those who open the page later
        await self._wall.progress(body.message_id, body.worker_id, body.attempt, text, body.state)
        return schemas.Ok()
