"""A rate limiter: a token bucket for each client, which refills with time and survives a restart.

python examples/rate_limiter.py [DIRECTORY]
"""

import asyncio
import sys
import tempfile

import msgspec

from durable_objects import Context, DurableObject, Runtime
from durable_objects.embedded import EmbeddedRuntime

CAPACITY = 5
REFILL_MS = 60_000
"""How long it takes to refill one token."""


class Bucket(msgspec.Struct):
    """The stored state: the number of tokens at a time."""

    tokens: float = CAPACITY
    at_ms: int = 0


class RateLimiter(DurableObject):
    """The bucket of one client, by its name. A full bucket is the same as none, and is removed."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        stored = ctx.storage.get("bucket")
        self._bucket = msgspec.json.decode(stored, type=Bucket) if stored else Bucket()

    def take(self) -> int:
        """Take a token; returns 0 if there was one, else the milliseconds until there will be one."""
        now = self.ctx.now()
        passed = max(0, now - self._bucket.at_ms)  # a clock may step back
        tokens = min(CAPACITY, self._bucket.tokens + passed / REFILL_MS)
        if tokens < 1:
            return round((1 - tokens) * REFILL_MS)
        self._bucket = Bucket(tokens - 1, now)
        self.ctx.storage.put("bucket", msgspec.json.encode(self._bucket))
        self.ctx.set_alarm(now + CAPACITY * REFILL_MS)
        return 0

    def alarm(self) -> None:
        """The bucket is full again: remove it."""
        self.ctx.storage.delete("bucket")
        self._bucket = Bucket()


async def main(runtime: Runtime) -> None:
    """One client calls too often, another one does not."""
    limiters = runtime.namespace("RateLimiter", RateLimiter)
    for client in ["192.0.2.1"] * 7 + ["192.0.2.2"]:
        wait_ms = await limiters.get(client).call(RateLimiter.take)
        print(f"{client} {'wait' if wait_ms else 'ok'}")


async def run(directory: str) -> None:
    """On the embedded runtime."""
    async with EmbeddedRuntime(directory) as runtime:
        await main(runtime)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(run(sys.argv[1] if len(sys.argv) > 1 else temporary))
