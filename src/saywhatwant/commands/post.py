"""``sww post``: put a message on the wall."""

import asyncio
from typing import Annotated
from uuid import uuid4

import typer

from saywhatwant.calls import Post, Posted, PostParams
from saywhatwant.client import WallClient
from saywhatwant.commands.options import PATIENCE_SECONDS, Url, server_of
from saywhatwant.settings import load


def post(
    text: Annotated[str, typer.Argument(help="What you want to say.")],
    url: Url = None,
    entity: Annotated[str | None, typer.Option(help="Whom you ask.", show_default="whoever answers")] = None,
    username: Annotated[str, typer.Option(help="Who you are.")] = "Human",
    color: Annotated[str, typer.Option(help="Your colour, RRRGGGBBB.")] = "169080199",
) -> None:
    """Put a message on the wall; the answer appears in `sww tail`."""
    settings = load()
    if not text.isprintable() and any("\ud800" <= char <= "\udfff" for char in text):
        raise typer.BadParameter("the text is not UTF-8")
    message = Post(text=text, username=username, color=color, bot_params=PostParams(entity=entity))
    posted = asyncio.run(_post(server_of(url, settings), settings.token, message))
    typer.echo(f"posted as {posted.id}")


async def _post(url: str, token: str | None, message: Post) -> Posted:
    async with WallClient(url, token, patience_seconds=PATIENCE_SECONDS) as client:
        return await client.post(message, uuid4().hex)
