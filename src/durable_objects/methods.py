"""The methods of a durable object's class as a network sees them: a name, arguments and a result that msgspec can encode.

Everything crosses as JSON, and is decoded by the annotations. What they cannot carry is refused when the class is written.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Struct

MethodT = TypeVar("MethodT", bound=Callable[..., Any])
T = TypeVar("T")

_READ = "_is_read"


def read(method: MethodT) -> MethodT:
    """Mark a method that changes nothing: no state, no alarm, no event. A runtime may run it beside other calls."""
    setattr(method, _READ, True)
    return method


class Method:
    """One public method, with its arguments and result as bytes.

    Attributes:
        name: the name that a call names.
        is_read: whether it is marked with ``read``.
    """

    __slots__ = ("_arguments", "_parameters", "_result", "is_read", "name")

    def __init__(self, name: str, arguments: type[Struct], parameters: tuple[str, ...], result: Any, *, is_read: bool) -> None:  # noqa: ANN401 - any annotation
        self.name = name
        self.is_read = is_read
        self._parameters = parameters
        self._arguments = msgspec.json.Decoder(arguments)
        self._result = msgspec.json.Decoder(result)

    def encode_arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The arguments of one call; raises ``TypeError`` when the method does not take them."""
        if len(args) > len(self._parameters):
            raise TypeError(f"{self.name} takes {len(self._parameters)} arguments, not {len(args)}")
        given = dict(zip(self._parameters, args, strict=False))
        if twice := given.keys() & kwargs.keys():
            raise TypeError(f"{self.name} got the argument {min(twice)!r} twice")
        return msgspec.json.encode(self._arguments.type(**given, **kwargs))

    def decode_arguments(self, encoded: bytes) -> dict[str, Any]:
        """The arguments by name; raises ``msgspec.ValidationError`` when they break the annotations."""
        return msgspec.structs.asdict(self._arguments.decode(encoded))

    def encode_result(self, result: object) -> bytes:
        """The result of one call."""
        return msgspec.json.encode(result)

    def decode_result(self, encoded: bytes) -> Any:  # noqa: ANN401 - typed by ``Stub.call``
        """The result, as the annotation says."""
        return self._result.decode(encoded)


def _once_a_class(describe: Callable[[type[Any]], T]) -> Callable[[type[Any]], T]:
    """Keep what ``describe`` returns for as long as the class lives."""
    known: WeakKeyDictionary[type[Any], T] = WeakKeyDictionary()

    def described(cls: type[Any]) -> T:
        found = known.get(cls)
        if found is None:
            found = known[cls] = describe(cls)
        return found

    return described


def functions_of(cls: type[Any]) -> dict[Callable[..., object], str]:
    """The public methods of ``cls`` and its base classes, with their names; an object runs its own override."""
    members = [member for base in cls.__mro__ for member in vars(base).items()]
    return {
        function: name
        for name, function in members
        if inspect.isfunction(function) and not name.startswith("_") and name != "alarm"
    }


def reads_of(cls: type[Any]) -> frozenset[str]:
    """The names of the public methods that are marked with ``read``."""
    return frozenset(name for name in functions_of(cls).values() if getattr(getattr(cls, name), _READ, False))


@_once_a_class
def methods_of(cls: type[Any]) -> Mapping[str, Method]:
    """The public methods of ``cls`` by name.

    Raises ``TypeError``, which names method and argument, for what cannot cross a network, or is not a plain function.
    """
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", member)
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{cls.__name__}.{name} is async; a call of a durable object runs to its end at once")
    return {name: _described(cls, name) for name in dict.fromkeys(functions_of(cls).values())}


def config_of(cls: type[Any]) -> Any:  # noqa: ANN401 - any annotation
    """The type of a class's configuration, which is its constructor's argument after the context; None if it takes none.

    Raises ``TypeError`` for one that is not a struct, or that msgspec cannot encode.
    """
    parameters = list(inspect.signature(cls.__init__).parameters.values())[2:]
    if not parameters:
        return None
    where = f"{cls.__name__}.__init__"
    config = _hints(cls.__init__, where).get(parameters[0].name, inspect.Parameter.empty)
    _check(config, where, parameters[0].name)
    if not (isinstance(config, type) and issubclass(config, Struct)):
        raise TypeError(f"{where}: the argument {parameters[0].name!r} is the configuration, which must be a struct of msgspec")
    return config


def _described(cls: type[Any], name: str) -> Method:
    function = getattr(cls, name)
    where = f"{cls.__name__}.{name}"
    if inspect.isgeneratorfunction(function):
        raise TypeError(f"{where} is a generator; a call of a durable object runs to its end at once")
    hints = _hints(function, where)
    fields: list[Any] = []
    parameters = list(inspect.signature(function).parameters.values())[1:]
    for parameter in parameters:
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise TypeError(f"{where}: the argument {parameter.name!r} takes any number of values; name each one")
        _check(hints.get(parameter.name, parameter.empty), where, parameter.name)
        default = msgspec.NODEFAULT if parameter.default is parameter.empty else parameter.default
        fields.append((parameter.name, hints[parameter.name], default))
    _check(hints.get("return", inspect.Signature.empty), where, None)
    positional = tuple(parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY)
    arguments = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
    return Method(name, arguments, positional, hints["return"], is_read=name in reads_of(cls))


def _hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"{where}: an annotation cannot be resolved when the class is written: {error}") from error


def _check(annotation: Any, where: str, argument: str | None) -> None:  # noqa: ANN401 - any annotation
    what = f"{where}: the result" if argument is None else f"{where}: the argument {argument!r}"
    if annotation is inspect.Parameter.empty:
        raise TypeError(f"{what} has no annotation")
    try:
        unknown = _unknown_in(msgspec.inspect.type_info(annotation), set())
        msgspec.json.Decoder(annotation)
    except TypeError as error:
        raise TypeError(f"{what} cannot be encoded: {error}") from error
    if unknown is not None:
        raise TypeError(f"{what} cannot be encoded: msgspec cannot decode {unknown}")


def _unknown_in(node: object, seen: set[int]) -> str | None:
    """A type in ``node`` that msgspec would hand over as it is, without knowing how to decode it."""
    if isinstance(node, msgspec.inspect.CustomType):
        return getattr(node.cls, "__name__", str(node.cls))
    if isinstance(node, msgspec.inspect.AnyType):
        return "Any"
    if id(node) in seen:
        return None
    seen.add(id(node))
    children: tuple[object, ...] = ()
    if isinstance(node, Struct):
        children = tuple(getattr(node, name) for name in node.__struct_fields__)
    elif isinstance(node, tuple | list):
        children = tuple(node)
    return next((found for child in children if (found := _unknown_in(child, seen)) is not None), None)
