"""``sww post``: post a message on the wall."""

import asyncio
from uuid import uuid4

import click

from saywhatwant.client import WallClient
from saywhatwant.commands import options
from saywhatwant.commands.connect import connect
from saywhatwant.schemas import PostParams, PostRequest, PostResponse
from saywhatwant.settings import load


@click.command()
@click.argument("text", type=options.UTF8)
@options.url
@click.option("--entity", type=options.UTF8, show_default="any", help="The entity to ask.")
@click.option("--no-answer", is_flag=True, help="Post to everyone; no entity answers.")
@click.option("--username", type=options.UTF8, default="Human", show_default=True, help="Your name.")
@click.option("--color", type=options.UTF8, default="204120051", show_default=True, help="Your color, RRRGGGBBB.")
def post(*, text: str, url: str | None, entity: str | None, no_answer: bool, username: str, color: str) -> None:
    """Post TEXT on the wall; the answer appears in `sww tail`."""
    if no_answer and entity is not None:
        raise click.UsageError("--entity asks for an answer; remove it, or --no-answer")
    params = PostParams(entity=entity, answer=not no_answer)
    message = PostRequest(text=text, username=username, color=color, bot_params=params)
    posted = asyncio.run(_post(connect(url, load()), message))
    click.echo(f"waits for review as {posted.id}" if posted.status == "held" else f"posted as {posted.id}")


async def _post(connection: WallClient, message: PostRequest) -> PostResponse:
    async with connection as client:
        return await client.post(message, uuid4().hex)
