"""The configuration of a class of objects: a struct, the constructor's argument after the context."""

import inspect
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

from durable_objects.annotations import checked
from durable_objects.errors import ConfigMismatch

_ENCODER = msgspec.json.Encoder(order="deterministic")


def config_of(cls: type[Any]) -> type[Struct] | None:
    """The type of the class's configuration; None if it takes none. Raises ``TypeError`` for a constructor of another form."""
    where = f"{cls.__name__}.__init__"
    arguments = _arguments(cls)
    if not 1 <= len(arguments) <= 2:  # noqa: PLR2004 - the context and the configuration
        raise TypeError(
            f"{where} takes {len(arguments)} arguments; a constructor takes the context, and perhaps a configuration"
        )
    if len(arguments) == 1:
        return None
    config = arguments[1]
    annotation = checked(inspect.unwrap(cls.__init__), config.name, where)
    if not (isinstance(annotation, type) and issubclass(annotation, Struct)):
        raise TypeError(f"{where}: the argument {config.name!r} is the configuration, which must be a struct of msgspec")
    return annotation


def config_for(cls: type[Any], given: Struct | None) -> Struct | None:
    """What the constructor gets: ``given``, else the argument's default. Raises ``TypeError`` when it is of another class."""
    expected = config_of(cls)
    if expected is None:
        if given is not None:
            raise TypeError(f"{cls.__name__} takes no configuration; it was given {given!r}")
        return None
    if given is None:
        given = _arguments(cls)[1].default
    if not isinstance(given, expected):
        raise TypeError(f"{cls.__name__} takes a configuration of the type {expected.__name__}")
    return given


def digest_of(config: Struct | None) -> str:
    """Names a configuration: 32 hexadecimal digits, the same in every process that has the same values in the same fields."""
    return blake2b(_ENCODER.encode(config), digest_size=16).hexdigest()


def check_declared(namespace: str, known: tuple[type[Any], Struct | None], again: tuple[type[Any], Struct | None]) -> None:
    """Compare a class and its configuration with those that a namespace has already.

    Raises ``ValueError`` for another class, ``ConfigMismatch`` for another configuration.
    """
    (cls, config), (given, given_config) = known, again
    if cls is not given:
        raise ValueError(f"the namespace {namespace!r} is already declared with {cls!r}")
    if digest_of(config) != digest_of(given_config):
        raise ConfigMismatch(f"the namespace {namespace!r} is already declared with {config!r}")


def _arguments(cls: type[Any]) -> list[inspect.Parameter]:
    create: Callable[..., None] = cls.__init__
    return list(inspect.signature(create).parameters.values())[1:]
