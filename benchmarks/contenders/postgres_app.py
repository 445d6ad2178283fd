"""The wall as a FastAPI app on PostgreSQL."""

import os
import secrets
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from fastapi import FastAPI, HTTPException, Request

from benchmarks.contenders.fastapi_models import BotParams, Claim, Claimed, Complete, Completed, Message, Post, Posted, Stats
from benchmarks.loads import RETENTION

LEASE_MS = 60_000
ID_ALPHABET = string.ascii_lowercase + string.digits
POST = "SELECT post_message($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
SCHEMA = Path(__file__).with_name("postgres_schema.sql")


def to_message(row: asyncpg.Record) -> Message:
    """A row as a message on the wire."""
    return Message(
        id=row["id"],
        timestamp=row["timestamp"],
        text=row["text"],
        username=row["username"],
        color=row["color"],
        message_type=row["message_type"],
        reply_to=row["reply_to"],
        bot_params=BotParams(
            status=row["status"],
            priority=row["priority"],
            entity=row["entity"],
            claimed_by=row["claimed_by"],
            claimed_at=row["claimed_at"],
            completed_at=row["completed_at"],
            attempt=row["attempt"],
        ),
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the pool and create the tables; close the pool at the end."""
    async with asyncpg.create_pool(
        os.environ["DATABASE_URL"],
        max_queries=2**62,  # the server's processes are counted when it starts, so
        max_inactive_connection_lifetime=0,  # they stay as they are
    ) as pool:
        await pool.execute(SCHEMA.read_text(encoding="utf-8"))
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


def pool_of(request: Request) -> "asyncpg.Pool[asyncpg.Record]":
    """The app's pool."""
    pool: asyncpg.Pool[asyncpg.Record] = request.app.state.pool
    return pool


def new_id() -> str:
    """Ten random characters."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(10))


@app.post("/api/comments")
async def post(body: Post, request: Request) -> Posted:
    """Put a message on the wall."""
    message_id, params = new_id(), body.bot_params
    new = (message_id, body.text, body.username, body.color, "human", None, "pending", params.priority, params.entity)
    return Posted(id=message_id, timestamp=await pool_of(request).fetchval(POST, *new, RETENTION))


@app.get("/api/comments")
async def read(request: Request, since: int = 0) -> list[Message]:
    """The messages newer than that, newest first."""
    rows = await pool_of(request).fetch(
        "SELECT * FROM message WHERE timestamp > $1 ORDER BY timestamp DESC LIMIT $2", since, RETENTION
    )
    return [to_message(row) for row in rows]


@app.post("/api/queue/claim")
async def claim(body: Claim, request: Request) -> Claimed:
    """Claim the most urgent messages."""
    rows = await pool_of(request).fetch("SELECT * FROM claim_messages($1, $2, $3)", body.worker_id, body.limit, LEASE_MS)
    return Claimed(messages=[to_message(row) for row in rows])


@app.post("/api/queue/complete")
async def complete(body: Complete, request: Request) -> Completed:
    """Finish a message together with its reply."""
    reply_id, reply = new_id(), body.reply
    async with pool_of(request).acquire() as connection, connection.transaction():
        held = await connection.fetchrow(
            """
            UPDATE message SET status = 'complete', completed_at = now_ms()
            WHERE id = $1 AND status = 'processing' AND claimed_by = $2 AND attempt = $3 AND lease_ends_at > now_ms()
            RETURNING priority, entity
            """,
            body.message_id,
            body.worker_id,
            body.attempt,
        )
        if held is None:
            if await connection.fetchval("SELECT 1 FROM message WHERE id = $1", body.message_id):
                raise HTTPException(409, "not processing, or not yours")
            raise HTTPException(404, "no such message")
        new = (reply_id, reply.text, reply.username, reply.color, "AI", body.message_id, "complete", *held)
        timestamp = await connection.fetchval(POST, *new, RETENTION)
    return Completed(id=reply_id, timestamp=timestamp)


@app.get("/api/stats")
async def stats(request: Request) -> Stats:
    """Counts of the wall."""
    row = await pool_of(request).fetchrow(
        """
        SELECT coalesce(max(seq), 0) AS seq, count(*) AS messages, count(*) FILTER (WHERE status = 'pending') AS pending
        FROM message
        """
    )
    return Stats.model_validate(dict(row or {}))
