"""``sww post``: put a message on the wall."""

import asyncio
from typing import Annotated
from uuid import uuid4

import typer

from saywhatwant.client import WallClient
from saywhatwant.commands.options import PATIENCE_SECONDS, Url, server_of, utf8
from saywhatwant.schemas import PostParams, PostRequest, PostResponse
from saywhatwant.settings import load


def post(
    text: Annotated[str, typer.Argument(help="What you want to say.", callback=utf8)],
    url: Url = None,
    entity: Annotated[str | None, typer.Option(help="Whom you ask.", show_default="whoever answers", callback=utf8)] = None,
    username: Annotated[str, typer.Option(help="Who you are.", callback=utf8)] = "Human",
    color: Annotated[str, typer.Option(help="Your colour, RRRGGGBBB.", callback=utf8)] = "204120051",
) -> None:
    """Put a message on the wall; the answer appears in `sww tail`."""
    settings = load()
    message = PostRequest(text=text, username=username, color=color, bot_params=PostParams(entity=entity))
    posted = asyncio.run(_post(server_of(url, settings), settings.token, message))
    typer.echo(f"posted as {posted.id}")


async def _post(url: str, token: str | None, message: PostRequest) -> PostResponse:
    async with WallClient(url, token, patience_seconds=PATIENCE_SECONDS) as client:
        return await client.post(message, uuid4().hex)
