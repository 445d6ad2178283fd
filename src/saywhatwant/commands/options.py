"""Options that several commands share."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from saywhatwant.addresses import url_from_here
from saywhatwant.entities import Entities
from saywhatwant.models import Model, ModelRouter
from saywhatwant.models.local import LocalServer
from saywhatwant.settings import Settings

Bind = Annotated[str | None, typer.Option(help="HOST:PORT to listen on; port 0 picks one.", show_default="127.0.0.1:8787")]
Data = Annotated[Path | None, typer.Option(help="Directory of the data.", show_default="./data")]
RuntimeName = Annotated[str | None, typer.Option("--runtime", help="What gives objects life.", show_default="embedded")]
Url = Annotated[str | None, typer.Option(help="The server.", show_default="where `sww up` listens")]
Names = Annotated[list[str] | None, typer.Option("--entity", help="Answer for this entity; again for more.")]
EntitiesFile = Annotated[Path | None, typer.Option("--entities", help="The TOML file of entities.", show_default="its own")]
ModelName = Annotated[
    str | None, typer.Option("--model", help="For all entities instead of their own; 'local' is a small one in here.")
]

PATIENCE_SECONDS = 3.0
"""How long a command at the prompt tries to reach its server."""


def utf8(value: str | None) -> str | None:
    """What somebody typed, as it is; raises ``typer.BadParameter`` for bytes that are not UTF-8."""
    if any("\ud800" <= char <= "\udfff" for char in value or ""):
        raise typer.BadParameter("it is not UTF-8")
    return value


def load_entities(settings: Settings, names: list[str] | None, model: str | None, stack: ExitStack) -> Entities:
    """The entities, all on ``model`` where one is named (``local`` is started, and stopped by ``stack``).

    Raises ``typer.BadParameter`` for a name that is not among them, ``WrongEntities`` and ``LocalModelMissing``.
    """
    base_url = None
    if model == "local":
        local: LocalServer = stack.enter_context(LocalServer())
        base_url = local.base_url
    entities = Entities(settings.entities, model=model, base_url=base_url)
    if unknown := sorted(set(names or ()) - set(entities.current)):
        raise typer.BadParameter(f"no such entity: {', '.join(unknown)}; there are {', '.join(entities.current)}")
    return entities


def models_of(settings: Settings) -> ModelRouter:
    """The way to models, as patient as the settings say."""

    def make_chat() -> Model:
        # Its client takes as long to import as the whole server to start.
        from saywhatwant.models.chat import ChatModel  # noqa: PLC0415

        return ChatModel(idle_seconds=settings.model_idle_seconds, total_seconds=settings.model_seconds)

    return ModelRouter(make_chat)


def server_of(url: str | None, settings: Settings) -> str:
    """The URL given, or that of the server these settings would start."""
    return url_from_here(settings.host, settings.port) if url is None else url
