"""The documents of the repository, and their code blocks and links."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


class Block(NamedTuple):
    """A fenced block of a document."""

    document: str
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands in it: each line, or in a ``console`` those behind a prompt."""
        lines = self.text.splitlines()
        if self.language == "console":
            return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line.partition("  #")[0].strip() for line in lines if line.strip()]


def text_of(name: str) -> str:
    """The text of a document, by its path in the repository."""
    return (ROOT / name).read_text()


def sections(document: str) -> dict[str, str]:
    """The sections of a document, by their headings of the second level."""
    found = re.split(r"^## (.*)\n", text_of(document), flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


def blocks(document: str, section: str | None = None) -> list[Block]:
    """The fenced blocks of a document, or of one of its sections."""
    text = text_of(document) if section is None else sections(document)[section]
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(document, language, text) for language, text in found]


def inline_code(document: str) -> list[str]:
    """What a document shows in backticks within a line."""
    prose = re.sub(r"^```.*?^```$", "", text_of(document), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", prose)


@cache
def names_of_tests(path: str) -> list[str]:
    """The names of all test functions in a file or a folder."""
    place = ROOT / path
    trees = [ast.parse(file.read_text()) for file in ([place] if place.is_file() else place.rglob("test_*.py"))]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [function.name for function in functions if function.name.startswith("test_")]
