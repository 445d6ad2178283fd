"""The runtimes that can host the wall. A new one is an entry of ``RUNTIMES``, and its name in ``settings``."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from durable_objects import Runtime
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.commands.data_upgrade import UPGRADES
from saywhatwant.settings import RuntimeName, Settings


class ServerRuntime(Runtime, AbstractAsyncContextManager["ServerRuntime"], Protocol):
    """A runtime that runs while its context is entered; entering raises ``OSError`` when its directory cannot be used."""


def _embedded(settings: Settings) -> ServerRuntime:
    return EmbeddedRuntime(settings.data, upgrades=UPGRADES)


def _wire(settings: Settings) -> ServerRuntime:
    from durable_objects.wire import WireRuntime

    return WireRuntime(EmbeddedRuntime(settings.data, upgrades=UPGRADES))


RUNTIMES: dict[RuntimeName, Callable[[Settings], ServerRuntime]] = {
    "embedded": _embedded,
    "wire": _wire,
}


def open_runtime(settings: Settings) -> ServerRuntime:
    """The runtime that the settings name; nothing is opened yet."""
    return RUNTIMES[settings.runtime](settings)
