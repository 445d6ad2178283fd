"""What an annotation allows to cross a network: types that msgspec decodes from JSON without help."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, get_type_hints

import msgspec
from msgspec import inspect as types

NO_KEYS = (
    types.CollectionType, types.TupleType, types.DictType, types.StructType, types.TypedDictType, types.DataclassType,
    types.NamedTupleType, types.RawType, types.NoneType,
)  # fmt: skip
"""What cannot be the key of a JSON object."""


def checked(function: Callable[..., Any], argument: str | None, where: str) -> Any:  # noqa: ANN401 - any annotation
    """The annotation of an argument of ``function``, or of its result (None), once it is known to cross a network.

    Raises ``TypeError``, which names ``where`` and the argument, for one that is missing, unresolved, or not to be encoded.
    """
    what = f"{where}: the result" if argument is None else f"{where}: the argument {argument!r}"
    annotation = _resolved(function, argument or "return", what)
    try:
        fault = _fault_of(annotation) if _is_hashable(annotation) else _fault_of.__wrapped__(annotation)
    except Exception as error:  # msgspec resolves the fields of structs here, which can raise anything
        raise TypeError(f"{what} cannot be encoded: {error}") from error
    if fault is not None:
        raise TypeError(f"{what} cannot be encoded: {fault}")
    return annotation


@lru_cache(maxsize=1_000)
def _fault_of(annotation: Any) -> str | None:  # noqa: ANN401 - any annotation
    """Why values of a type cannot cross, or None; a program starts sooner when ``str`` is looked at once."""
    found = _unknown_in(types.type_info(annotation), set())
    msgspec.json.Decoder(annotation)
    return found


def _resolved(function: Callable[..., Any], name: str, what: str) -> Any:  # noqa: ANN401 - any annotation
    try:
        annotations = inspect.get_annotations(function)
        if name not in annotations:
            raise TypeError(f"{what} has no annotation")
        one = SimpleNamespace(__annotations__={name: annotations[name]})
        return get_type_hints(one, function.__globals__, include_extras=True)[name]
    except (NameError, AttributeError, SyntaxError) as error:
        raise TypeError(f"{what} has an annotation that cannot be resolved when the class is defined: {error}") from error


def _unknown_in(node: object, seen: set[int]) -> str | None:
    """Why a type cannot be decoded from JSON: msgspec leaves unknown ones as they are, and finds others when it is too late."""
    if isinstance(node, types.CustomType | types.ExtType | types.AnyType):
        return f"msgspec cannot decode {_name(node)}"
    if isinstance(node, types.DictType) and isinstance(node.key_type, NO_KEYS):
        return f"the keys of a JSON object cannot be {_name(node.key_type)}"
    if id(node) in seen:
        return None
    seen.add(id(node))
    children: tuple[object, ...] = ()
    if isinstance(node, types.Type | types.Field):
        children = tuple(getattr(node, name) for name in node.__struct_fields__)
    elif isinstance(node, tuple):
        children = node
    return next((found for child in children if (found := _unknown_in(child, seen)) is not None), None)


def _name(node: types.Type) -> str:
    cls = getattr(node, "cls", None)
    return type(node).__name__.removesuffix("Type") if cls is None else getattr(cls, "__name__", str(cls))


def _is_hashable(annotation: object) -> bool:
    try:
        hash(annotation)
    except TypeError:
        return False
    return True
