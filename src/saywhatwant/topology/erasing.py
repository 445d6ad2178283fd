"""How a text is erased: in steps, each of which may be repeated."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from durable_objects import Stub
from saywhatwant.errors import WrongState
from saywhatwant.moderation.schemas import HiddenMessage, ModerationResponse
from saywhatwant.queue import MessageQueue
from saywhatwant.topology.wall import Answer


class Hiding(Protocol):
    """A wall that hides messages; see ``Wall``."""

    def hide(self, message_id: str) -> Answer[ModerationResponse]: ...
    def hidden(self, message_id: str) -> Answer[HiddenMessage]: ...


async def erase(
    wall: Hiding,
    message_id: str,
    erase_it: Callable[[], Answer[ModerationResponse]],
    with_contexts: Sequence[Stub[Any]],
) -> ModerationResponse:
    """Hide the message, so that no new prompt has its text; remove that from all contexts; and only then ``erase_it``.

    Until the last step the text is known, so a call that comes after a crash can go on. ``with_contexts`` are the objects that
    have contexts.
    """
    await wall.hide(message_id)
    with suppress(WrongState):  # it is erased already
        text = (await wall.hidden(message_id)).text
        for stub in with_contexts:
            after: int | None = 0
            while after is not None:
                after = await stub.call(MessageQueue.forget_in_contexts, text, after)
    return await erase_it()
