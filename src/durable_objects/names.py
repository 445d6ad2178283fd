"""The names of namespaces and objects."""

from durable_objects.errors import LimitExceeded
from durable_objects.limits import MAX_NAME_CHARS
from durable_objects.storage import utf8_length


def check_namespace(name: str) -> None:
    """Check the name of a namespace. Raises ``LimitExceeded``, or ``TypeError``."""
    check_name("a namespace", name)
    if "/" in name:
        raise LimitExceeded(f"the name of a namespace is {name!r}; a slash is not allowed")


def check_name(kind: str, name: str) -> None:
    """Check a name; ``kind`` names what it is of in the error. Raises ``LimitExceeded``, or ``TypeError``."""
    if not isinstance(name, str):
        raise TypeError(f"the name of {kind} is {type(name).__name__}, not str")
    utf8_length(name)
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise LimitExceeded(f"the name of {kind} has {len(name)} characters; 1 to {MAX_NAME_CHARS} are allowed")
