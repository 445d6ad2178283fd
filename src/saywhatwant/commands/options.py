"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from saywhatwant.entities import ENTITIES
from saywhatwant.settings import Settings

Bind = Annotated[str | None, typer.Option(help="HOST:PORT to listen on; port 0 picks one.", show_default="127.0.0.1:8787")]
Data = Annotated[Path | None, typer.Option(help="Directory of the data.", show_default="./data")]
RuntimeName = Annotated[str | None, typer.Option("--runtime", help="What gives objects life.", show_default="embedded")]
Url = Annotated[str | None, typer.Option(help="The server.", show_default="where `sww up` listens")]
Entities = Annotated[list[str] | None, typer.Option("--entity", help="Answer for this entity; again for more.")]

PATIENCE_SECONDS = 3.0
"""How long a command at the prompt tries to reach its server."""


def served(entities: list[str] | None) -> list[str]:
    """The entities to answer for: those named, or all; raises ``typer.BadParameter`` for one that is not there."""
    if unknown := sorted(set(entities or ()) - set(ENTITIES)):
        raise typer.BadParameter(f"no such entity: {', '.join(unknown)}; there are {', '.join(ENTITIES)}")
    return entities or list(ENTITIES)


def server_of(url: str | None, settings: Settings) -> str:
    """The URL given, or that of the server these settings would start."""
    if url is not None:
        return url
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


__all__ = ["PATIENCE_SECONDS", "Bind", "Data", "Entities", "RuntimeName", "Url", "served", "server_of"]
