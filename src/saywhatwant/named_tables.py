"""A TOML file of named tables that all have the same keys: its errors have line and key, and a change of it is noticed."""

import re
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from saywhatwant.errors import ExpectedError, InvalidField
from saywhatwant.validation import humanize

T = TypeVar("T", bound=Struct)

NAME = re.compile(r"[a-z0-9-]{1,64}")
"""A plain name."""
_KEY_ERRORS = {"Object contains unknown field": "is not a known key", "Object missing required field": "is required"}


class WrongFile(ExpectedError):
    """The file is invalid; the message has the line and the key."""


class ChangingFile:
    """A file that may change at any time."""

    def __init__(self, path: Path, wrong: type[WrongFile]) -> None:
        self.path = path
        self._wrong = wrong
        self._stamp: tuple[int, ...] | None = None

    def changed_text(self) -> str | None:
        """The content; None when it has not changed since the last read. Raises ``wrong`` when it cannot be read."""
        try:
            found = self.path.stat()
            # A file that replaces another may have the same time and length.
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
            if stamp == self._stamp:
                return None
            text = self.path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise self._wrong(f"{self.path} cannot be read: it is not text in UTF-8") from None
        except OSError as error:
            raise self._wrong(f"{self.path} cannot be read: {error.strerror}") from None
        self._stamp = stamp
        return text


def parse(text: str, source: str, kind: type[T], wrong: type[WrongFile]) -> dict[str, T]:
    """The tables of a TOML text, each as a struct of this kind; raises ``wrong`` with ``source``, line and key."""
    try:
        tables = tomllib.loads(text)
    except ValueError as error:  # usually TOMLDecodeError, but not for a number that is too long for Python
        raise wrong(f"{source}: {error}") from None
    except RecursionError:
        raise wrong(f"{source}: nested too deep") from None
    found = {}
    for name, table in tables.items():
        if not NAME.fullmatch(name):
            where = _line_of(text, name)
            raise wrong(f"{source}, line {where}: [{name}] must be a plain name: 1 to 64 of a-z, 0-9 and -")
        try:
            found[name] = _converted(table, kind)
        except InvalidField as error:
            place = f"{name}.{error.field}" if error.field else name
            line = _line_of(text, name, _member(error.field))
            raise wrong(f"{source}, line {line}: {place}: {error.rule}") from None
    return found


def _converted(table: object, kind: type[T]) -> T:
    """The struct that a table describes; raises ``InvalidField``, with an empty field if the whole table is wrong."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        rule, _, path = str(error).partition(" - at `$.")
        key = path.rstrip("`") or next(iter(re.findall(r"field `([^`]*)`", rule)), "")
        words = next((words for start, words in _KEY_ERRORS.items() if rule.startswith(start)), None)
        kinds = {field.name: field.type for field in msgspec.structs.fields(kind)}
        # TOML has no null, and calls an object a table.
        words = words or humanize(rule, kinds.get(_member(key))).replace(" or null", "").replace("an object", "a table")
        raise InvalidField(key, words) from None


def _member(path: str) -> str:
    """The key of a table in a path that may lead further."""
    return re.split(r"[.\[]", path)[0]


def _line_of(text: str, name: str, key: str = "") -> int:
    """The line of a table, or of a key in it if the table has it."""
    lines = text.splitlines()
    table = next((n for n, line in enumerate(lines, 1) if re.match(rf"\s*\[\s*[\"']?{re.escape(name)}\b", line)), 1)
    for number, line in enumerate(lines[table:], table + 1):
        if line.lstrip().startswith("["):
            break
        if key and re.match(rf"\s*[\"']?{re.escape(key)}\b", line):
            return number
    return table
