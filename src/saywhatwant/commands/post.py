"""``sww post``: put a message on the wall."""

import asyncio
from typing import Annotated
from uuid import uuid4

import typer

from saywhatwant.client import WallClient
from saywhatwant.commands.connect import connect
from saywhatwant.commands.options import Url, utf8
from saywhatwant.schemas import PostParams, PostRequest, PostResponse
from saywhatwant.settings import load


def post(
    text: Annotated[str, typer.Argument(help="The message.", callback=utf8)],
    url: Url = None,
    entity: Annotated[str | None, typer.Option(help="The entity to ask.", show_default="any", callback=utf8)] = None,
    username: Annotated[str, typer.Option(help="Your name.", callback=utf8)] = "Human",
    color: Annotated[str, typer.Option(help="Your colour, RRRGGGBBB.", callback=utf8)] = "204120051",
) -> None:
    """Post a message; the answer appears in `sww tail`."""
    message = PostRequest(text=text, username=username, color=color, bot_params=PostParams(entity=entity))
    posted = asyncio.run(_post(connect(url, load()), message))
    typer.echo(f"posted as {posted.id}")


async def _post(connection: WallClient, message: PostRequest) -> PostResponse:
    async with connection as client:
        return await client.post(message, uuid4().hex)
