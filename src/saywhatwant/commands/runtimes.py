"""The runtimes that can host the wall. A new one is an entry of ``RUNTIMES``, and its name in ``settings``."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from durable_objects import Runtime
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded.transfer import EmbeddedSource, EmbeddedTarget
from durable_objects.transfer import ObjectSource, ObjectTarget
from saywhatwant.commands.data_upgrade import UPGRADES
from saywhatwant.settings import RuntimeName, Settings, WrongSettings


class ServerRuntime(Runtime, AbstractAsyncContextManager["ServerRuntime"], Protocol):
    """A runtime that runs while its context is entered; entering raises ``OSError`` when its directory cannot be used."""


def _embedded(settings: Settings, *, with_objects: bool) -> ServerRuntime:  # noqa: ARG001 - it always has its objects
    return EmbeddedRuntime(settings.data, upgrades=UPGRADES)


def _wire(settings: Settings, *, with_objects: bool) -> ServerRuntime:  # noqa: ARG001 - as above
    from durable_objects.wire import WireRuntime

    return WireRuntime(EmbeddedRuntime(settings.data, upgrades=UPGRADES))


def _restate(settings: Settings, *, with_objects: bool) -> ServerRuntime:
    from saywhatwant.commands.restate_runtimes import Gateway, OneMachine

    if settings.restate and not with_objects:
        return Gateway(settings)
    return OneMachine(settings)


class OpenRuntime(Protocol):
    """Makes a runtime."""

    def __call__(self, settings: Settings, *, with_objects: bool) -> ServerRuntime: ...


RUNTIMES: dict[RuntimeName, OpenRuntime] = {
    "embedded": _embedded,
    "restate": _restate,
    "wire": _wire,
}


WallSource = AbstractAsyncContextManager[ObjectSource]
"""What a wall is exported from, while it is entered."""
WallTarget = AbstractAsyncContextManager[ObjectTarget]
"""What a wall is imported into, while it is entered."""


def _embedded_source(settings: Settings) -> WallSource:
    return EmbeddedSource(settings.data)


def _embedded_target(settings: Settings) -> WallTarget:
    return EmbeddedTarget(settings.data, UPGRADES)


def _restate_source(settings: Settings) -> WallSource:
    from saywhatwant.commands.restate_moves import restate_source

    return restate_source(settings)


def _restate_target(settings: Settings) -> WallTarget:
    from saywhatwant.commands.restate_moves import restate_target

    return restate_target(settings)


SOURCES: dict[RuntimeName, Callable[[Settings], WallSource]] = {
    "embedded": _embedded_source,
    "restate": _restate_source,
    "wire": _embedded_source,
}
TARGETS: dict[RuntimeName, Callable[[Settings], WallTarget]] = {
    "embedded": _embedded_target,
    "restate": _restate_target,
    "wire": _embedded_target,
}


def open_runtime(settings: Settings, *, with_objects: bool = False) -> ServerRuntime:
    """The runtime that the settings name; nothing is opened yet.

    ``with_objects`` is for clusters, which the settings name: whether this process brings the objects too. Without a cluster
    it always does. Raises ``WrongSettings`` when the settings name a cluster for another runtime.
    """
    _check(settings)
    return RUNTIMES[settings.runtime](settings, with_objects=with_objects)


def open_source(settings: Settings) -> WallSource:
    """The wall of the runtime that the settings name, to be exported; nothing is opened yet. Raises as ``open_runtime``."""
    _check(settings)
    return SOURCES[settings.runtime](settings)


def open_target(settings: Settings) -> WallTarget:
    """A place for a wall on the runtime that the settings name; nothing is opened yet. Raises as ``open_runtime``."""
    _check(settings)
    return TARGETS[settings.runtime](settings)


def _check(settings: Settings) -> None:
    if settings.restate and settings.runtime != "restate":
        raise WrongSettings(f"SWW_RESTATE names a cluster, but SWW_RUNTIME is {settings.runtime}; set it to restate")
