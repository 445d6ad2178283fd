"""Classes of objects from a line of source, so that a test can show what is refused."""

from enum import Enum
from functools import wraps
from textwrap import indent
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from durable_objects import Context, DurableObject, read


class Color(Enum):
    """A value that crosses as its text."""

    RED = "red"


class Point(NamedTuple):
    """Crosses as a list."""

    x: int
    y: int


class Step(Struct, frozen=True):
    """Crosses as an object."""

    size: int = 1
    label: str | None = None


class Tree(Struct, frozen=True):
    """Has itself as a part."""

    name: str
    parts: tuple["Tree", ...] = ()


class Custom:
    """Does not cross."""


class Hiding(Struct):
    """Looks as if it could cross."""

    inside: list[Custom]


def passed_on(method: Any) -> Any:
    """A decorator that keeps what its method looks like."""

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    return call


NAMES = {
    "Annotated": Annotated, "Any": Any, "Color": Color, "Context": Context, "Custom": Custom, "DurableObject": DurableObject,
    "Hiding": Hiding, "Literal": Literal, "Meta": msgspec.Meta, "Point": Point, "Raw": Raw, "Step": Step, "T": TypeVar("T"),
    "Tree": Tree, "UNSET": UNSET, "UnsetType": UnsetType, "passed_on": passed_on, "read": read,
}  # fmt: skip


def declare(*members: str, base: type[DurableObject] = DurableObject) -> type[Any]:
    """A class called ``Counter`` with these members; each is its source."""
    names: dict[str, Any] = {**NAMES, "Base": base}
    exec("class Counter(Base):\n" + indent("\n".join(members), "    "), names)  # noqa: S102 - sources of this package's tests
    return names["Counter"]  # type: ignore[no-any-return]
