"""The methods of a durable object's class as a network sees them: a name, arguments and a result that msgspec can encode.

Everything crosses as JSON, and is decoded by the annotations. What they cannot carry is refused when the class is defined.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from durable_objects.annotations import checked

MethodT = TypeVar("MethodT", bound=Callable[..., Any])
T = TypeVar("T")

_READ = "_is_read"
_ENCODER = msgspec.json.Encoder(order="deterministic")
_encode_result = msgspec.json.Encoder().encode


def read(method: MethodT) -> MethodT:
    """Mark a method that changes nothing: no state, no alarm, no event, no call to others. Overriding methods are reads too.

    A runtime may run it beside other calls. A read that changes or sends something fails with ``ObjectFailed``.
    """
    setattr(method, _READ, True)
    return method


class Method:
    """One public method, with its arguments and result as bytes.

    Equal arguments have equal bytes (the keys of a dict are sorted), so that a digest can stand for them. Those that have their
    default's value are left out: a new argument with a default changes no digest, and an older object takes the call.

    Attributes:
        name: the name that a call names.
        is_read: whether it is marked with ``read``.
    """

    __slots__ = ("_arguments", "_defaults", "_least", "_positional", "_result", "_signature", "is_read", "name")

    def __init__(
        self,
        name: str,
        signature: inspect.Signature,
        arguments: type[Struct],
        result: Any,  # noqa: ANN401 - any annotation
        *,
        is_read: bool,
    ) -> None:
        self.name = name
        self.is_read = is_read
        self._signature = signature
        parameters = signature.parameters.values()
        self._defaults = {parameter.name: parameter.default for parameter in parameters}
        required = [parameter for parameter in parameters if parameter.default is parameter.empty]
        self._positional = [parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
        self._least = len(required)
        """How many arguments a call has that gives them all by position, or more; none can where one is by name only."""
        if any(parameter.kind is parameter.KEYWORD_ONLY for parameter in required):
            self._least = len(parameters) + 1
        self._arguments = msgspec.json.Decoder(arguments)
        self._result = msgspec.json.Decoder(result)

    def encode_arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The arguments of one call; raises ``TypeError`` when the method does not take them, or they cannot be encoded."""
        try:
            given = self._named(args, kwargs)
            return _ENCODER.encode({name: value for name, value in given if not self._is_default(name, value)})
        except (TypeError, ValueError) as error:  # ValueError: text that is not Unicode
            raise TypeError(f"{self.name}: {error}") from error

    def decode_arguments(self, encoded: bytes) -> dict[str, Any]:
        """All arguments by name; raises ``msgspec.ValidationError`` when they break the annotations."""
        return msgspec.structs.asdict(self._arguments.decode(encoded))

    def encode_result(self, result: object) -> bytes:
        """The result of one call; raises ``TypeError`` when it cannot be encoded."""
        try:
            return _encode_result(result)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{self.name}: the result: {error}") from error

    def decode_result(self, encoded: bytes) -> Any:  # noqa: ANN401 - typed by ``Stub.call``
        """The result; raises ``msgspec.ValidationError`` when it breaks the annotation."""
        try:
            return self._result.decode(encoded)
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(f"{self.name}: the result: {error}") from error

    def _named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        if not kwargs and self._least <= len(args) <= len(self._positional):
            # What most calls are, in a tenth of the time that ``bind`` takes.
            return zip(self._positional, args, strict=False)
        return self._signature.bind(*args, **kwargs).arguments.items()

    def _is_default(self, name: str, value: object) -> bool:
        default = self._defaults[name]
        return value is default or (type(value) is type(default) and bool(value == default))


def _once_a_class(describe: Callable[[type[Any]], T]) -> Callable[[type[Any]], T]:
    """Keep what ``describe`` returns, with the class itself, so that it goes when the class does."""
    kept = f"__{describe.__name__}__"

    @wraps(describe)
    def described(cls: type[Any]) -> T:
        found: T | None = vars(cls).get(kept)
        if found is None:
            found = describe(cls)
            setattr(cls, kept, found)
        return found

    return described


@_once_a_class
def functions_of(cls: type[Any]) -> Mapping[Callable[..., object], str]:
    """The public methods of ``cls`` and its base classes, with their names; an object runs its own override."""
    return functions_now(cls)


def functions_now(cls: type[Any]) -> Mapping[Callable[..., object], str]:
    """The same, with what was added to the class after it was first asked for, as tests do."""
    return {function: names[-1] for function, names in _names_of(cls).items()}


def name_of(cls: type[Any], method: Callable[..., object]) -> str:
    """The name of a public method; raises ``TypeError`` for anything else."""
    name = functions_of(cls).get(method) or functions_now(cls).get(method)
    if name is None:
        if isinstance(method, str):
            raise TypeError(f"a call takes a method of {cls.__name__} itself, not its name {method!r}")
        raise TypeError(f"{getattr(method, '__qualname__', repr(method))} is not a public method of {cls.__name__}")
    return name


@_once_a_class
def reads_of(cls: type[Any]) -> frozenset[str]:
    """The names of the public methods that are marked with ``read``, in ``cls`` or where they override one that is."""
    return frozenset(name for function, name in functions_of(cls).items() if getattr(function, _READ, False))


@_once_a_class
def methods_of(cls: type[Any]) -> Mapping[str, Method]:
    """The public methods of ``cls`` by name.

    Raises ``TypeError``, which names method and argument, for what cannot cross a network, or is not a plain function.
    """
    for name, member in _members(cls):
        _check_runs_to_its_end(f"{cls.__name__}.{name}", getattr(member, "__func__", member), public=not name.startswith("_"))
    described: dict[str, Method] = {}
    for names in _names_of(cls).values():
        name, *others = dict.fromkeys(names)
        where = f"{cls.__name__}.{name}"
        if others:
            raise TypeError(f"{where} is also called {others[0]}; a method has one name")
        if not inspect.isfunction(inspect.getattr_static(cls, name)):
            raise TypeError(f"{where} overrides a method, but is none")
        if name not in described:
            described[name] = _described(cls, name, where)
    return described


def _names_of(cls: type[Any]) -> dict[Callable[..., object], list[str]]:
    """Every public function of ``cls`` and its base classes, with all names that it has there."""
    found: dict[Callable[..., object], list[str]] = {}
    for name, member in _members(cls):
        if inspect.isfunction(member) and not name.startswith("_") and name != "alarm":
            found.setdefault(member, []).append(name)
    return found


def _members(cls: type[Any]) -> Iterator[tuple[str, Any]]:
    return ((name, member) for base in cls.__mro__ if base is not object for name, member in vars(base).items())


def _check_runs_to_its_end(where: str, function: object, *, public: bool) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{where} is async; a call of a durable object runs to its end at once")
    if public and inspect.isgeneratorfunction(function):
        raise TypeError(f"{where} is a generator; a call of a durable object runs to its end at once")


def _described(cls: type[Any], name: str, where: str) -> Method:
    function = inspect.unwrap(getattr(cls, name))
    _, *parameters = inspect.signature(function).parameters.values()
    fields = [_field(function, parameter, where) for parameter in parameters]
    arguments = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
    result = checked(function, None, where)
    return Method(name, inspect.Signature(parameters), arguments, result, is_read=name in reads_of(cls))


def _field(function: Callable[..., Any], parameter: inspect.Parameter, where: str) -> tuple[str, Any, Any]:
    """An argument as a field of a struct."""
    what = f"{where}: the argument {parameter.name!r}"
    if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
        raise TypeError(f"{what} takes any number of values; name each one")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise TypeError(f"{what} has no name to callers; arguments cross a network by name")
    annotation = checked(function, parameter.name, where)
    default = parameter.default
    if default is parameter.empty:
        return parameter.name, annotation, msgspec.field()
    if default is not msgspec.UNSET:
        try:
            msgspec.json.decode(_ENCODER.encode(default), type=annotation)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{what} has a default that breaks its annotation: {error}") from error
    return parameter.name, annotation, msgspec.field(default_factory=lambda: default)
