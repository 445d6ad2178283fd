"""A chat room: everybody in it sees each line once it is on disk; people who join later first see the last lines.

    python examples/chat_room.py [DIRECTORY]

Run it twice with the same directory: the second run begins where the first one ended.
"""

import asyncio
import sys
import tempfile

from durable_objects import Context, DurableObject, Refusal, Runtime
from durable_objects.embedded import EmbeddedRuntime

KEPT_LINES = 100
MAX_LINE_CHARS = 500


class LineTooLong(Refusal):
    """A line is too long."""


class ChatRoom(DurableObject):
    """One room. Its lines are in storage, and in memory while the room is used."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self._lines = {key: value.decode() for key, value in ctx.storage.list("line/")}

    def say(self, name: str, text: str) -> int:
        """Add a line for everybody; returns its number."""
        if len(text) > MAX_LINE_CHARS:
            raise LineTooLong(f"a line has {len(text)} characters; {MAX_LINE_CHARS} are allowed")
        number = self.ctx.seq + 1
        key, line = f"line/{number:012}", f"{name}: {text}"
        self.ctx.storage.put(key, line.encode())
        self.ctx.publish(line.encode())
        self._lines[key] = line
        if len(self._lines) > KEPT_LINES:
            oldest = next(iter(self._lines))
            self.ctx.storage.delete(oldest)
            del self._lines[oldest]
        return number

    def last_lines(self, count: int) -> list[str]:
        """The last ``count`` lines, the latest at the end."""
        return list(self._lines.values())[-count:]


async def main(runtime: Runtime) -> None:
    """Two people talk; a third one listens."""
    room = runtime.namespace("ChatRoom", ChatRoom).get("kitchen")
    for line in await room.call(ChatRoom.last_lines, 3):
        print(f"before    {line}")
    events = room.events()
    # Both lines are written by one commit, and nobody sees them before it.
    await asyncio.gather(room.call(ChatRoom.say, "Ada", "Anybody here?"), room.call(ChatRoom.say, "Bob", "Me."))
    for _, lines in (await anext(events), await anext(events)):
        print("now       " + b" ".join(lines).decode())
    try:
        await room.call(ChatRoom.say, "Eve", "spam " * 200)
    except LineTooLong as refusal:
        print(f"refused   {refusal}")
    await events.aclose()


async def run(directory: str) -> None:
    """On the embedded runtime."""
    async with EmbeddedRuntime(directory) as runtime:
        await main(runtime)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(run(sys.argv[1] if len(sys.argv) > 1 else temporary))
