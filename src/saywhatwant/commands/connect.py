"""Connects a command to its server."""

import stamina.instrumentation

from saywhatwant.addresses import url_from_here
from saywhatwant.client import WallClient
from saywhatwant.settings import Settings

PATIENCE_SECONDS = 3.0
"""How long an interactive command retries while its server is unavailable."""


def connect(url: str | None, settings: Settings, *, patience_seconds: float = PATIENCE_SECONDS) -> WallClient:
    """A client of the server at ``url``, or of the one that ``settings`` would start."""
    silence_retries()
    return WallClient(url or default_url(settings), settings.token, patience_seconds=patience_seconds)


def default_url(settings: Settings) -> str:
    """The URL of the server that ``settings`` would start."""
    return url_from_here(settings.host, settings.port)


def silence_retries() -> None:
    """Keep stamina from logging retries: the callers report failures themselves."""
    stamina.instrumentation.set_on_retry_hooks([])
