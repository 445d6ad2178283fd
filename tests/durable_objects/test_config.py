"""The configuration of a class: which one it takes, and whether two programs have the same."""

from itertools import pairwise

import pytest
from declaring import Step, declare
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from durable_objects import ConfigMismatch, Context, DurableObject
from durable_objects.config import config_for, config_of, digest_of
from durable_objects.simulated import SimulatedRuntime

REFUSED = {
    "a number": ("def __init__(self, ctx, config: int): ...", "Counter.__init__: the argument 'config' is the configuration"),
    "two structs": ("def __init__(self, ctx, config: Step | None): ...", "'config' is the configuration, which must be"),
    "no annotation": ("def __init__(self, ctx, config): ...", "Counter.__init__: the argument 'config' has no annotation"),
    "a custom class": ("def __init__(self, ctx, config: Custom): ...", "the argument 'config' cannot be encoded"),
    "a struct that hides one": ("def __init__(self, ctx, config: Hiding): ...", "'config' cannot be encoded: .*Custom"),
    "too many": ("def __init__(self, ctx, a: Step, b: Step): ...", "Counter.__init__ takes 3 arguments; a constructor takes"),
    "no context": ("def __init__(self): ...", "Counter.__init__ takes 0 arguments; a constructor takes the context"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_constructor_that_needs_anything_else_is_refused_when_the_class_is_defined(kind: str) -> None:
    source, message = REFUSED[kind]
    with pytest.raises(TypeError, match=message):
        declare(source)


class Stepping(DurableObject):
    """Has a configuration with a default."""

    def __init__(self, ctx: Context, config: Step = Step(2)) -> None:  # noqa: B008 - frozen
        super().__init__(ctx)
        self.config = config

    def size(self) -> int:
        return self.config.size


class Needing(Stepping):
    """Has one without."""

    def __init__(self, ctx: Context, config: Step) -> None:
        super().__init__(ctx, config)


class Other(Struct, frozen=True):
    """Of another class."""

    size: int = 1


@pytest.mark.parametrize(
    ("cls", "config", "message"),
    [
        (Needing, None, "Needing takes a configuration of the type Step"),
        (Needing, Other(), "Needing takes a configuration of the type Step"),
        (DurableObject, Step(), r"DurableObject takes no configuration; it was given Step\(size=1"),
    ],
)
def test_a_wrong_configuration_is_refused_when_the_class_is_declared(
    cls: type[DurableObject], config: Struct | None, message: str
) -> None:
    runtime = SimulatedRuntime()
    with pytest.raises(TypeError, match=message):
        runtime.namespace("A", cls, config)
    assert runtime.run(runtime.namespace("A", Needing, Step(3)).get("a").call(Needing.size)) == 3


def test_a_default_is_a_configuration_like_one_that_is_given() -> None:
    runtime = SimulatedRuntime()
    stepping = runtime.namespace("Stepping", Stepping).get("a")
    assert runtime.run(stepping.call(Stepping.size)) == 2
    assert config_for(Stepping, None) == Step(2)
    runtime.namespace("Stepping", Stepping, Step(2))
    with pytest.raises(ConfigMismatch, match=r"the namespace 'Stepping' is already declared with Step\(size=2"):
        runtime.namespace("Stepping", Stepping, Step(3))


def test_a_class_without_a_configuration_has_none() -> None:
    assert config_of(DurableObject) is None
    assert config_for(DurableObject, None) is None


class Wide(Struct, frozen=True):
    """Fields of several kinds."""

    names: frozenset[str] = frozenset()
    sizes: dict[str, int] = {}
    limit: float | None = None


configs = st.builds(
    Wide,
    st.frozensets(st.text("abc", max_size=2), max_size=3),
    st.dictionaries(st.text("abc", max_size=2), st.integers(0, 2), max_size=3),
    st.sampled_from([None, 0.5, 1.5]),
)


@given(st.lists(configs, min_size=2, max_size=5))
def test_a_digest_is_the_same_for_equal_configurations_and_for_no_others(some: list[Wide]) -> None:
    for one, another in pairwise(some):
        assert (digest_of(one) == digest_of(another)) == (one == another)
        assert digest_of(Wide(one.names, dict(reversed(one.sizes.items())), one.limit)) == digest_of(one)
    assert digest_of(None) not in {digest_of(one) for one in some}


def test_a_digest_is_the_same_in_every_process() -> None:
    assert digest_of(Step(2)) == "a314e0dbcf97152372cf760a27a7df7f"
