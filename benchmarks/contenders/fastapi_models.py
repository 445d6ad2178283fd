"""Bodies and answers of the FastAPI contenders."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5_000)]
Username = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=32)]
Color = Annotated[str, StringConstraints(pattern=r"^([01][0-9][0-9]|2[0-4][0-9]|25[0-5]){3}$")]
Entity = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
WorkerId = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Model(BaseModel):
    """Names in JSON are camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class PostParams(Model):
    """The work fields of a post."""

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
    """The work fields of a message."""

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
    """Counts of the wall."""

    seq: int
    messages: int
    pending: int
