"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Bind = Annotated[str | None, typer.Option(help="HOST:PORT to listen on; port 0 picks one.", show_default="127.0.0.1:8787")]
Data = Annotated[Path | None, typer.Option(help="Directory of the data.", show_default="./data")]
RuntimeName = Annotated[
    str | None, typer.Option("--runtime", help="The runtime that hosts the durable objects.", show_default="embedded")
]
Url = Annotated[str | None, typer.Option(help="The server's URL.", show_default="where `sww up` listens")]
Names = Annotated[
    list[str] | None, typer.Option("--entity", help="Answer for this entity; repeat for more.", show_default="all")
]
EntitiesFile = Annotated[
    Path | None, typer.Option("--entities", help="The TOML file of entities.", show_default="the one that ships")
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Use this model for all entities; 'local' is a small one on this machine.",
        show_default="each entity's own",
    ),
]


def utf8(value: str | None) -> str | None:
    """What somebody typed, unchanged; raises ``typer.BadParameter`` for bytes that are not UTF-8."""
    if any("\ud800" <= char <= "\udfff" for char in value or ""):
        raise typer.BadParameter("must be UTF-8")
    return value
