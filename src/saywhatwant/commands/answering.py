"""Used by ``sww bot`` and ``sww up``: entities, their models, and worker ids."""

import secrets
import string
from collections.abc import Sequence
from contextlib import ExitStack

import click

from saywhatwant.entities import Entities
from saywhatwant.models import Model, ModelRouter
from saywhatwant.settings import Settings

ID_CHARACTERS = string.ascii_lowercase + string.digits


def random_worker_id(prefix: str) -> str:
    """``prefix-`` and 8 random characters. Worker ids are public, so they name neither host nor process."""
    return f"{prefix}-{''.join(secrets.choice(ID_CHARACTERS) for _ in range(8))}"


def load_entities(settings: Settings, names: Sequence[str], model: str | None, stack: ExitStack) -> Entities:
    """The entities; with ``model``, all of them use it (``local`` is started here, and stopped by ``stack``).

    Raises ``click.UsageError`` for an unknown name, ``WrongEntities``, ``LocalModelMissing`` and ``LocalModelFailed``.
    """
    base_url = None
    if model == "local":
        from saywhatwant.models.local import LocalServer

        base_url = stack.enter_context(LocalServer()).base_url
    entities = Entities(settings.entities, model=model, base_url=base_url)
    if unknown := sorted(set(names) - set(entities.current)):
        raise click.UsageError(f"no such entity: {', '.join(unknown)}; must be one of {', '.join(entities.current)}")
    return entities


def model_router(settings: Settings) -> ModelRouter:
    """Each entity's own model, with the time limits of the settings."""

    def make_chat() -> Model:
        # Importing it takes as long as the whole start of the server.
        from saywhatwant.models.chat import ChatModel

        return ChatModel(idle_seconds=settings.model_idle_seconds, total_seconds=settings.model_seconds)

    return ModelRouter(make_chat)
