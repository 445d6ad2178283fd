"""The frames of the bots' WebSocket, ``GET /api/queue/ws``: JSON objects in text frames, with a ``type``.

A bot says ``hello`` first, with the hands that it has; then each message that it is the first in line for comes by itself. Its
other frames are the calls under ``/api/queue`` without ``workerId``, which ``hello`` has said. A frame with an ``id`` gets an
``ok`` or a ``problem`` with the same ``id``; one without gets nothing but a ``problem``. Answers come in any order.

One text frame of the WebSocket may have several of these, one a line, in both directions: under load that is far less work.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from saywhatwant import schemas
from saywhatwant.limits import MAX_DETAIL, MAX_ERROR, MAX_HANDS, MAX_SOCKET_ENTITIES, MAX_TALK_TURNS, MAX_VERSION
from saywhatwant.message import Attempt, Entity, Id, WorkerId

PATH = "/api/queue/ws"
MAX_FRAME_ID = 64
"""Characters of a frame's ``id``."""
PING, PONG = "ping", "pong"
"""A text frame that is exactly this is answered by that, also while the objects sleep: for who cannot send WebSocket pings."""

FrameId = (
    Annotated[int, Meta(ge=0, le=2**53 - 1, description="0 to 2^53 - 1")]
    | Annotated[str, Meta(min_length=1, max_length=MAX_FRAME_ID, description=f"1 to {MAX_FRAME_ID} characters")]
)
SocketName = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$(?!\n)", description="16 hexadecimal digits")]
Hands = Annotated[int, Meta(ge=0, le=MAX_HANDS, description=f"0 to {MAX_HANDS} messages at once")]
HandsOfEntities = Annotated[
    dict[Entity, Hands],
    Meta(
        min_length=1,
        max_length=MAX_SOCKET_ENTITIES,
        description=f"1 to {MAX_SOCKET_ENTITIES} entities, each with the messages that it answers at once",
    ),
]
Personas = Annotated[
    dict[Entity, schemas.PersonaDigest],
    Meta(max_length=MAX_SOCKET_ENTITIES, description="as personas of a claim"),
]


class Hold(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """An attempt that the bot has."""

    message_id: Id
    attempt: Attempt


class Frame(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag_field="type", omit_defaults=True
):
    """A frame of a bot."""

    id: FrameId | UnsetType = UNSET


class HandsFrame(Frame, frozen=True, kw_only=True, rename="camel", tag="hands"):
    """The bot has other hands from now on; what it holds stays its own. With 0 it gets no more."""

    hands: Hands
    entities: HandsOfEntities | None = None
    """Whose messages it takes; without it those of all. Messages to anyone come too."""
    context: Annotated[
        int, Meta(ge=0, le=MAX_TALK_TURNS, description=f"0 to {MAX_TALK_TURNS} earlier messages of each talk")
    ] = 0
    personas: Personas = {}
    version: Annotated[str, Meta(min_length=1, max_length=MAX_VERSION, description=f"1 to {MAX_VERSION} characters")] | None = (
        None
    )


class HelloFrame(HandsFrame, frozen=True, kw_only=True, rename="camel", tag="hello"):
    """The first frame. A bot whose socket was cut names that socket and the attempts that it still works on."""

    worker_id: WorkerId
    holds: Annotated[list[Hold], Meta(max_length=MAX_HANDS, description=f"up to {MAX_HANDS} attempts")] = []
    resumes: SocketName | None = None


class CompleteFrame(Frame, frozen=True, kw_only=True, rename="camel", tag="complete"):
    """As POST /api/queue/complete."""

    message_id: Id
    attempt: Attempt
    reply: schemas.Reply | None = None


class ExtendFrame(Frame, frozen=True, kw_only=True, rename="camel", tag="extend"):
    """As POST /api/queue/extend."""

    message_id: Id
    attempt: Attempt


class FailFrame(Frame, frozen=True, kw_only=True, rename="camel", tag="fail"):
    """As POST /api/queue/fail."""

    message_id: Id
    attempt: Attempt
    error: Annotated[str, Meta(description=f"the reason, shown on the wall; cut to {MAX_ERROR} characters")]
    retry: bool = True
    detail: Annotated[str, Meta(description=f"for operators only, never on the wall; cut to {MAX_DETAIL} characters")] = ""


class ReleaseFrame(Frame, frozen=True, kw_only=True, rename="camel", tag="release"):
    """As POST /api/queue/release."""

    message_id: Id
    attempt: Attempt


class ProgressFrame(Frame, frozen=True, kw_only=True, rename="camel", tag="progress"):
    """As POST /api/queue/progress."""

    message_id: Id
    attempt: Attempt
    text: schemas.MaybeText = ""
    state: schemas.ProgressState = "writing"


BotFrame = HelloFrame | HandsFrame | CompleteFrame | ExtendFrame | FailFrame | ReleaseFrame | ProgressFrame

# -- From the server


class Welcome(Struct, frozen=True, rename="camel", tag_field="type", tag="welcome", omit_defaults=True):
    """Answer to ``hello``: the name of this socket, and the attempts that the bot has now at messages of ``holds``.

    An attempt with another number is a new one: the message had been given back, and this bot has got it again.
    """

    socket: SocketName
    held: list[Hold]
    id: FrameId | UnsetType = UNSET
    conflicts: list[schemas.Conflict] = []


class Work(Struct, frozen=True, tag_field="type", tag="message", omit_defaults=True):
    """A message that this bot holds now. It may come twice, in the same attempt."""

    message: schemas.EncodedMessage
    talk: schemas.Talk | UnsetType = UNSET


class Lost(Struct, frozen=True, rename="camel", tag_field="type", tag="lost"):
    """The bot does not hold this message any more: its lease has run out, or an operator has ended it.

    It may hang, so it gets no more messages until it says something, such as its hands again.
    """

    message_id: str
    attempt: int


class Done(Struct, frozen=True, tag_field="type", tag="ok", omit_defaults=True):
    """Answer to a frame with an ``id``; ``result`` is what the call of that name answers."""

    id: FrameId
    result: Any = UNSET
    conflicts: list[schemas.Conflict] = []


class Refused(Struct, frozen=True, tag_field="type", tag="problem", omit_defaults=True):
    """A frame was refused: the problem is that of the call of that name (RFC 9457)."""

    problem: Any
    id: FrameId | UnsetType = UNSET
