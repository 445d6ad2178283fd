"""What a class promises to a network: which methods it has, and how their arguments and results become bytes and back."""

import gc
import inspect
import weakref
from typing import Any, NamedTuple

import msgspec
import pytest
from declaring import Color, Point, Step, Tree, declare
from hypothesis import given
from hypothesis import strategies as st

from durable_objects import DurableObject
from durable_objects.methods import Method, methods_of, reads_of

REFUSED = {
    "no annotation": ("def add(self, count) -> int: ...", "Counter.add: the argument 'count' has no annotation"),
    "no result": ("def add(self, count: int): ...", "Counter.add: the result has no annotation"),
    "any": ("def add(self, count: Any) -> int: ...", "Counter.add: the argument 'count' cannot be encoded: .* Any$"),
    "any result": ("def add(self) -> Any: ...", "Counter.add: the result cannot be encoded: msgspec cannot decode Any"),
    "any inside": ("def add(self, count: dict[str, list[Any]]) -> int: ...", "the argument 'count' cannot be .* decode Any$"),
    "a bare list": ("def add(self, count: list) -> int: ...", "Counter.add: the argument 'count' cannot be encoded"),
    "a type variable": ("def add(self, count: T) -> int: ...", "Counter.add: the argument 'count' cannot be encoded"),
    "object": ("def add(self, count: object) -> int: ...", "the argument 'count' cannot be .*: msgspec cannot decode object"),
    "a custom class": ("def add(self, count: Custom) -> int: ...", "'count' cannot be .*: msgspec cannot decode Custom"),
    "a custom class inside": ("def add(self, count: Hiding | None) -> int: ...", "'count' cannot be .* cannot decode Custom"),
    "a callable": ("def add(self, count: type[int]) -> int: ...", "Counter.add: the argument 'count' cannot be encoded"),
    "keys of an object": ("def add(self, count: dict[Point, int]) -> int: ...", "the keys of a JSON object cannot be Point"),
    "structs without a tag": ("def add(self, count: Step | Tree) -> int: ...", "'count' cannot be encoded: .* must be tagged"),
    "a reference to nothing": ("def add(self, a: int, b: 'list[Nope]') -> int: ...", "the argument 'b' has .*'Nope' is not"),
    "a result that is nothing": ("def add(self, a: int) -> 'Nope': ...", "the result has an annotation .*'Nope' is not"),
    "a reference to itself": ("def add(self, other: 'Counter') -> int: ...", "the argument 'other' has an annotation that"),
    "no annotation at all": ("def add(self, count: '1 +') -> int: ...", "Counter.add: the argument 'count' has an annotation"),
    "any number": ("def add(self, *counts: int) -> int: ...", "Counter.add: the argument 'counts' takes any number of values"),
    "any names": ("def add(self, **counts: int) -> int: ...", "Counter.add: the argument 'counts' takes any number of values"),
    "by position only": ("def add(self, count: int, /) -> int: ...", "Counter.add: the argument 'count' has no name"),
    "a wrong default": ("def add(self, count: int = None) -> int: ...", "Counter.add: the argument 'count' has a default that"),
    "a default too large": ("def add(self, n: Annotated[int, Meta(le=9)] = 10) -> int: ...", "'n' has a default that breaks"),
    "an object as a default": ("def add(self, count: int = object()) -> int: ...", "the argument 'count' has a default that"),
    "a generator": ("def add(self) -> int:\n    yield 1", "Counter.add is a generator; a call of a durable object runs to"),
    "a coroutine": ("async def add(self) -> int: ...", "Counter.add is async; a call of a durable object runs to its end"),
    "an async generator": ("async def add(self) -> int:\n    yield 1", "Counter.add is async"),
    "an async helper": ("async def _add(self) -> int: ...", "Counter._add is async"),
    "an alarm that never runs": ("def alarm(self) -> None:\n    yield", "Counter.alarm is a generator"),
    "an async alarm": ("async def alarm(self) -> None: ...", "Counter.alarm is async"),
    "two names": ("def add(self) -> int: ...\nplus = add", "Counter.add is also called plus; a method has one name"),
    "a method that is a number": ("replay = 5", "Counter.replay overrides a method, but is none"),
    "a method that is static": ("@staticmethod\ndef replay() -> int: ...", "Counter.replay overrides a method, but is none"),
    "a wrapped one": ("@passed_on\ndef add(self, count: Any) -> int: ...", "Counter.add: the argument 'count' cannot be"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_cross_a_network_is_refused_when_the_class_is_defined(kind: str) -> None:
    source, message = REFUSED[kind]
    with pytest.raises(TypeError, match=message):
        declare(source)


def test_a_mixin_is_checked_like_the_class_itself() -> None:
    class Mixin:
        async def add(self) -> int:
            return 1

    with pytest.raises(TypeError, match=r"Counter\.add is async"):
        type("Counter", (Mixin, DurableObject), {})


TAKEN = [
    "count: int", "count: 'int'", "count: int | None = None", "count: Literal['a', 'b'] = 'a'", "count: Color = Color.RED",
    "count: Point = Point(1, 2)", "count: list[int] = [1]", "count: dict[int, Tree]", "count: bytes", "count: Raw",
    "count: int | UnsetType = UNSET", "*, count: Annotated[int, Meta(ge=0)]",
    "count: Annotated[int, Meta(extra={'unit': []}), []]", "count: tuple[int, str] = (1, 'a')",
]  # fmt: skip


@pytest.mark.parametrize("argument", TAKEN)
def test_what_msgspec_encodes_may_cross(argument: str) -> None:
    assert list(methods_of(declare(f"def add(self, {argument}) -> None: ..."))) == ["add", "replay"]


def test_only_public_methods_have_a_name() -> None:
    cls = declare(
        "def add(self, count: int) -> int: ...", "def _helper(self, x): ...", "@staticmethod\ndef static(x): ...",
        "@classmethod\ndef of(cls, x): ...", "@property\ndef size(self): ...", "def alarm(self): ...",
    )  # fmt: skip
    assert set(methods_of(cls)) == {"add", "replay"}


def test_an_override_of_a_read_is_a_read_though_it_is_not_marked() -> None:
    base = declare("@read\ndef total(self) -> int: ...", "def add(self) -> int: ...")
    cls = declare("def total(self) -> int: ...", "def add(self, count: int = 1) -> int: ...", base=base)
    assert reads_of(cls) == {"total", "replay"}
    assert {name for name, method in methods_of(cls).items() if method.is_read} == {"total", "replay"}
    assert methods_of(cls)["add"].decode_arguments(b"{}") == {"count": 1}, "the object runs its own override"


def test_a_class_is_described_once_and_not_kept() -> None:
    cls = declare("def add(self) -> int: ...")
    assert methods_of(cls) is methods_of(cls)
    gone = weakref.ref(cls)
    del cls
    gc.collect()
    assert gone() is None


# -- Arguments and results as bytes


class Kind(NamedTuple):
    """An annotation, and values that it allows."""

    annotation: Any
    values: st.SearchStrategy[Any]


PLAIN = [
    Kind(int, st.integers(-(2**80), 2**80)),
    Kind(float, st.floats(allow_nan=False, allow_infinity=False)),
    Kind(bool, st.booleans()),
    Kind(str, st.text()),
    Kind(bytes, st.binary()),
    Kind(Color, st.sampled_from(Color)),
    Kind(Point, st.builds(Point, st.integers(-9, 9), st.integers(-9, 9))),
    Kind(Step, st.builds(Step, st.integers(-9, 9), st.none() | st.text())),
    Kind(Tree, st.recursive(st.builds(Tree, st.text()), lambda tree: st.builds(Tree, st.text(), st.tuples(tree, tree)))),
]
kinds = st.recursive(
    st.sampled_from(PLAIN),
    lambda kind: st.one_of(
        kind.map(lambda part: Kind(list[part.annotation], st.lists(part.values, max_size=3))),  # type: ignore[name-defined]
        kind.map(lambda part: Kind(tuple[part.annotation, ...], st.lists(part.values, max_size=3).map(tuple))),  # type: ignore[name-defined]
        kind.map(lambda part: Kind(dict[str, part.annotation], st.dictionaries(st.text(), part.values, max_size=3))),  # type: ignore[name-defined]
        kind.map(lambda part: Kind(part.annotation | None, st.none() | part.values)),
    ),
    max_leaves=3,
)


def described(parameters: list[inspect.Parameter], result: Any = None) -> Method:
    """A class's method with these parameters."""

    def add(self: DurableObject) -> None: ...

    add.__signature__ = inspect.Signature([inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD), *parameters])  # type: ignore[attr-defined]
    add.__annotations__ = {**{parameter.name: parameter.annotation for parameter in parameters}, "return": result}
    return methods_of(type("Counter", (DurableObject,), {"add": add}))["add"]


@given(st.data(), st.lists(st.tuples(kinds, st.booleans()), max_size=4))
def test_arguments_arrive_as_they_were_given(data: st.DataObject, taken: list[tuple[Kind, bool]]) -> None:
    """By position or by name, with their defaults or without: the same call, and the same bytes."""
    by_name, has_default = inspect.Parameter.KEYWORD_ONLY, False
    names = [f"argument_{number}" for number in range(len(taken))]
    positional = data.draw(st.integers(0, len(taken)), "positional")
    parameters, values, defaults = [], {}, {}
    for number, (name, (kind, wants_default)) in enumerate(zip(names, taken, strict=True)):
        has_default = wants_default or (has_default and number < positional)
        default = data.draw(kind.values, f"default of {name}") if has_default else inspect.Parameter.empty
        if has_default:
            defaults[name] = default
        values[name] = default if has_default and data.draw(st.booleans()) else data.draw(kind.values, name)
        place = inspect.Parameter.POSITIONAL_OR_KEYWORD if number < positional else by_name
        parameters.append(inspect.Parameter(name, place, annotation=kind.annotation, default=default))
    method = described(parameters)
    in_place = data.draw(st.integers(0, positional), "given by position")
    encoded = method.encode_arguments(
        tuple(values[name] for name in names[:in_place]), {name: values[name] for name in names[in_place:]}
    )
    assert method.decode_arguments(encoded) == values
    left_out = {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}
    assert method.encode_arguments((), left_out) == encoded == method.encode_arguments((), dict(reversed(values.items())))


@given(st.data(), kinds)
def test_a_result_arrives_as_it_was_returned(data: st.DataObject, kind: Kind) -> None:
    method = described([], kind.annotation)
    result = data.draw(kind.values)
    assert method.decode_result(method.encode_result(result)) == result


def test_an_argument_that_is_given_by_name_only_is_missed_behind_any_number_of_others() -> None:
    method = methods_of(declare("def add(self, count: int, step: int = 1, *, label: str) -> int: ..."))["add"]
    with pytest.raises(TypeError, match=r"add: missing a required .*'label'"):
        method.encode_arguments((1, 2), {})
    assert method.encode_arguments((1, 2), {"label": "x"}) == b'{"count":1,"label":"x","step":2}'


ADD = methods_of(declare("def add(self, count: int, *, label: str = '', sizes: dict[str, int] = {}) -> int: ..."))["add"]


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "add: missing a required argument: 'count'"),
        ((1, "x"), {}, "add: too many positional arguments"),
        ((1,), {"count": 1}, "add: multiple values for argument 'count'"),
        ((1,), {"other": 1}, "add: got an unexpected keyword argument 'other'"),
        ((1,), {"label": "\ud800"}, "add: 'utf-8' codec can't encode"),
        ((object(),), {}, "add: Encoding objects of type object is unsupported"),
    ],
)
def test_arguments_that_a_method_does_not_take_are_refused_before_anything_is_sent(
    args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        ADD.encode_arguments(args, kwargs)


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b'{"count":"x"}', r"Expected `int`, got `str` - at `\$.count`"),
        (b'{"label":"x"}', "missing required field `count`"),
        (b'{"count":1,"other":2}', "contains unknown field `other`"),
        (b"[1]", "Expected `object`, got `array`"),
    ],
)
def test_arguments_from_elsewhere_are_checked_against_the_annotations(encoded: bytes, message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        ADD.decode_arguments(encoded)


def test_equal_arguments_have_equal_bytes_whatever_their_order_and_a_new_default_changes_none() -> None:
    older = methods_of(declare("def add(self, count: int) -> int: ..."))["add"]
    assert ADD.encode_arguments((1,), {}) == older.encode_arguments((), {"count": 1}) == b'{"count":1}'
    one, another = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert ADD.encode_arguments((1,), {"sizes": one}) == ADD.encode_arguments((1,), {"sizes": another})
    assert ADD.encode_arguments((1,), {"sizes": {}}) == ADD.encode_arguments((1,), {})


def test_values_that_are_equal_and_of_another_type_are_not_taken_for_the_default() -> None:
    method = methods_of(declare("def add(self, count: int | bool | float = 1) -> int: ..."))["add"]
    assert [method.encode_arguments((value,), {}) for value in (1, True, 1.0)] == [b"{}", b'{"count":true}', b'{"count":1.0}']


def test_a_result_of_another_kind_than_its_annotation_is_found_on_the_way() -> None:
    with pytest.raises(msgspec.ValidationError, match="add: the result: Expected `int`, got `str`"):
        ADD.decode_result(ADD.encode_result("one"))
    with pytest.raises(TypeError, match="add: the result: Encoding objects of type object is unsupported"):
        ADD.encode_result(object())
