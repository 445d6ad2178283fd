"""The wall as a FastAPI app on Redis."""

import os
import secrets
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from redis.asyncio import BlockingConnectionPool, Redis

from benchmarks.contenders.contract import RETENTION

LEASE_MS = 60_000
ID_ALPHABET = string.ascii_lowercase + string.digits
KEYS = ("wall", "messages", "timeline", "pending", "leases")
FUNCTIONS = Path(__file__).with_name("redis_functions.lua")

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5_000)]
Username = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=32)]
Color = Annotated[str, StringConstraints(pattern=r"^([01][0-9][0-9]|2[0-4][0-9]|25[0-5]){3}$")]
Entity = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
WorkerId = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Model(BaseModel):
    """Names in JSON are camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class PostParams(Model):
    """What a post may say about its work."""

    entity: Entity | None = None
    priority: Annotated[int, Field(ge=0, le=99)] = 50


class Post(Model):
    """Body of a post."""

    text: Text
    username: Username
    color: Color
    bot_params: PostParams = PostParams()


class Posted(Model):
    """Answer to a post."""

    id: str
    timestamp: int
    status: Literal["success"] = "success"


class BotParams(Model):
    """A message as work."""

    status: Literal["pending", "processing", "complete"]
    priority: int = 50
    entity: str | None = None
    claimed_by: str | None = None
    claimed_at: int | None = None
    completed_at: int | None = None
    attempt: int = 0


class Message(Model):
    """A message on the wall."""

    id: str
    timestamp: int = 0
    text: str
    username: str
    color: str
    message_type: Literal["human", "AI"] = "human"
    reply_to: str | None = None
    bot_params: BotParams


class Claim(Model):
    """Body of a claim."""

    worker_id: WorkerId
    limit: Annotated[int, Field(ge=1, le=100)] = 1


class Claimed(Model):
    """Answer to a claim."""

    success: Literal[True] = True
    messages: list[Message]


class Reply(Model):
    """A bot's answer."""

    text: Text
    username: Username
    color: Color = "128128128"


class Complete(Model):
    """Body of a completion."""

    message_id: str
    worker_id: WorkerId
    attempt: int
    reply: Reply


class Completed(Model):
    """Answer to a completion."""

    success: Literal[True] = True
    id: str
    timestamp: int


class Stats(Model):
    """Figures."""

    seq: int
    messages: int
    pending: int


# It waits for a free connection; the default pool would refuse the 101st caller.
redis = Redis.from_pool(BlockingConnectionPool.from_url(os.environ["REDIS_URL"], max_connections=64, decode_responses=True))


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Load the functions; close the pool at the end."""
    await redis.function_load(FUNCTIONS.read_text(encoding="utf-8"), replace=True)
    yield
    await redis.aclose()


app = FastAPI(lifespan=lifespan)


def new_id() -> str:
    """Ten random characters."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(10))


async def call(function: str, *arguments: str | int) -> Any:  # noqa: ANN401 - as Redis has it
    """Call one of the functions in ``redis_functions.lua``."""
    return await cast("Any", redis.fcall(function, len(KEYS), *KEYS, *cast("tuple[str, ...]", arguments)))


@app.post("/api/comments")
async def post(body: Post) -> Posted:
    """Put a message on the wall."""
    message = Message(
        id=new_id(),
        text=body.text,
        username=body.username,
        color=body.color,
        bot_params=BotParams(status="pending", priority=body.bot_params.priority, entity=body.bot_params.entity),
    )
    timestamp = await call("post", message.model_dump_json(by_alias=True), RETENTION)
    return Posted(id=message.id, timestamp=timestamp)


@app.get("/api/comments")
async def read(since: int = 0) -> list[Message]:
    """The messages younger than that, newest first."""
    ids = await redis.zrange("timeline", "+inf", f"({since}", desc=True, byscore=True)
    if not ids:
        return []
    found = await redis.hmget("messages", cast("list[str]", ids))
    return [Message.model_validate_json(json) for json in found if json is not None]


@app.post("/api/queue/claim")
async def claim(body: Claim) -> Claimed:
    """Hold the most urgent messages."""
    found = await call("claim", body.worker_id, body.limit, LEASE_MS)
    return Claimed(messages=[Message.model_validate_json(json) for json in found])


@app.post("/api/queue/complete")
async def complete(body: Complete) -> Completed:
    """Finish a message together with its reply."""
    reply = Message(
        id=new_id(),
        text=body.reply.text,
        username=body.reply.username,
        color=body.reply.color,
        message_type="AI",
        reply_to=body.message_id,
        bot_params=BotParams(status="complete"),
    )
    json = reply.model_dump_json(by_alias=True)
    outcome, *rest = await call("complete", body.message_id, body.worker_id, body.attempt, json, RETENTION)
    if outcome == "unknown":
        raise HTTPException(404, "no such message")
    if outcome == "conflict":
        raise HTTPException(409, "not processing, or not yours")
    return Completed(id=reply.id, timestamp=rest[0])


@app.get("/api/stats")
async def stats() -> Stats:
    """Figures of the wall."""
    async with redis.pipeline() as pipeline:
        pipeline.hget("wall", "seq")
        pipeline.hlen("messages")
        pipeline.zcard("pending")
        seq, messages, pending = await pipeline.execute()
    return Stats(seq=int(seq or 0), messages=messages, pending=pending)
