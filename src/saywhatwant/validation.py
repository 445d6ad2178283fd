"""The decoder's errors in plain English (P8)."""

import re
from typing import Literal, get_args, get_origin

from saywhatwant.message import PATTERNS

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_PARTS = {"str": "characters", "array": "entries"}
_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_OTHER_KIND = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`")
_BEYOND_BOUND = re.compile(r"Expected `(?P<wanted>\w+)` (?P<length>of length )?(?P<bound>[<>]=?) (?P<limit>\S+)")


def humanize(rule: str, kind: object = None) -> str:
    """The rule in an error of msgspec (``Expected `int` >= 0``) in plain English; unknown wording stays unchanged.

    ``kind`` is the declared type of the value; only an error about a choice needs it.
    """
    for pattern, meaning in PATTERNS.items():
        if repr(pattern) in rule:
            return f"must be {meaning}"
    if found := _OTHER_KIND.fullmatch(rule):
        got = "a fraction" if found["got"] == "float" else _named(found["got"])
        return f"must be {_named(found['wanted'])}, not {got}"
    if found := _BEYOND_BOUND.fullmatch(rule):
        bound, limit = _BOUNDS[found["bound"]], found["limit"].removesuffix(".0")
        if found["length"] and (bound, limit) == ("at least", "1"):
            return "must not be empty"
        if found["length"]:
            return f"must have {bound} {limit} {_PARTS.get(found['wanted'], 'parts')}"
        return f"must be {_named(found['wanted'])} of {bound} {limit}"
    return f"must be one of {', '.join(_choices(kind))}" if rule.startswith("Invalid enum value") else rule


def _choices(kind: object) -> list[str]:
    """The values of the literal types in ``kind``."""
    if get_origin(kind) is Literal:
        return list(map(str, get_args(kind)))
    return [choice for part in get_args(kind) for choice in _choices(part)]


def _named(kinds: str) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in kinds.split(" | "))
