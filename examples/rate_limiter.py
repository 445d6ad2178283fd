"""A rate limiter: a bucket of tokens for each client, which fills up again with time and survives a restart.

python examples/rate_limiter.py [DIRECTORY]
"""

import asyncio
import sys
import tempfile

import msgspec

from durable_objects import Context, DurableObject
from durable_objects.embedded import EmbeddedRuntime

CAPACITY = 5
REFILL_MS = 60_000
"""How long one token takes to come back."""


class Bucket(msgspec.Struct):
    """What is stored: how many tokens there were, and when."""

    tokens: float = CAPACITY
    at_ms: int = 0


class RateLimiter(DurableObject):
    """The bucket of one client, by its name. One that is full again is the same as none, and is removed."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        stored = ctx.storage.get("bucket")
        self._bucket = msgspec.json.decode(stored, type=Bucket) if stored else Bucket()

    def take(self) -> int:
        """Take a token: 0 where there was one, else in how many milliseconds there will be one."""
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
        """Nobody has taken a token for so long that the bucket is full: forget it."""
        self.ctx.storage.delete("bucket")
        self._bucket = Bucket()


async def main(directory: str) -> None:
    """One client asks too often, another one does not."""
    async with EmbeddedRuntime(directory) as runtime:
        limiters = runtime.namespace("RateLimiter", RateLimiter)
        for client in ["192.0.2.1"] * 7 + ["192.0.2.2"]:
            wait_ms = await limiters.get(client).call(RateLimiter.take)
            print(f"{client} {'wait' if wait_ms else 'ok'}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else temporary))
