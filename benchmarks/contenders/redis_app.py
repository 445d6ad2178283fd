"""The wall as a FastAPI app on Redis."""

import os
import secrets
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI, HTTPException
from redis.asyncio import BlockingConnectionPool, Redis

from benchmarks.contenders.fastapi_models import BotParams, Claim, Claimed, Complete, Completed, Message, Post, Posted, Stats
from benchmarks.loads import RETENTION

LEASE_MS = 60_000
ID_ALPHABET = string.ascii_lowercase + string.digits
KEYS = ("wall", "messages", "timeline", "pending", "leases")
FUNCTIONS = Path(__file__).with_name("redis_functions.lua")


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
    """The messages newer than that, newest first."""
    ids = await redis.zrange("timeline", "+inf", f"({since}", desc=True, byscore=True)
    if not ids:
        return []
    found = await redis.hmget("messages", cast("list[str]", ids))
    return [Message.model_validate_json(json) for json in found if json is not None]


@app.post("/api/queue/claim")
async def claim(body: Claim) -> Claimed:
    """Claim the most urgent messages."""
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
    """Counts of the wall."""
    async with redis.pipeline() as pipeline:
        pipeline.hget("wall", "seq")
        pipeline.hlen("messages")
        pipeline.zcard("pending")
        seq, messages, pending = await pipeline.execute()
    return Stats(seq=int(seq or 0), messages=messages, pending=pending)
