"""The documents are true: links lead somewhere, lists are complete, and each promise has its tests."""

import re
import runpy
from pathlib import Path

import pytest

from documents import DOCUMENTS, ROOT, names_of_tests, text_of
from saywhatwant.settings import PREFIX, Settings

HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    headings = HEADING.findall(document.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path) if path else document
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", document.read_text())
    inside = [link for pair in links for link in pair if link and "://" not in link]
    assert [link for link in inside if not leads_somewhere(document, link)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_is_left_to_be_filled_in(document: Path) -> None:
    assert re.findall(r"^(?:[A-Z]{4,}|.* [A-Z]{5,})$", document.read_text(), re.MULTILINE) == []


def test_the_guide_lists_every_setting_and_no_other() -> None:
    listed = re.findall(rf"^\| `{PREFIX}(\w+)`", text_of("docs/operate.md"), re.MULTILINE)
    assert sorted(name.lower() for name in listed) == sorted(Settings.__struct_fields__)


def test_the_map_names_every_module() -> None:
    architecture = text_of("ARCHITECTURE.md")
    modules = [path for path in (ROOT / "src").rglob("*.py") if path.name != "__init__.py"]
    unnamed = [path.name for path in modules if path.stem not in architecture]
    assert unnamed == ["options.py"]  # shared by the commands, none itself


@pytest.mark.parametrize("promise", [f"P{number}" for number in range(1, 10)])
def test_every_promise_has_its_tests_and_its_explanation(promise: str) -> None:
    tests = [name for name in names_of_tests("tests") if name.startswith(f"test_{promise.lower()}_")]
    assert len(tests) >= 3
    assert re.search(rf"^\| {promise} \|", text_of("README.md"), re.MULTILINE)
    assert re.search(rf"^\*\*{promise} ", text_of("docs/reliability.md"), re.MULTILINE)


def test_the_table_of_bounds_is_made_from_the_limits_modules() -> None:
    """If not, `make limits` makes it."""
    generated = runpy.run_path(str(ROOT / "docs" / "limits.py"))["generated"]
    document = text_of("docs/reliability.md")
    assert generated(document) == document


@pytest.mark.parametrize("directory", ["src", "tests", "benchmarks"])
def test_no_file_is_too_long_for_one_sitting(directory: str) -> None:
    files = [path for path in (ROOT / directory).rglob("*.py") if "node_modules" not in path.parts]
    lengths = {path.name: len(path.read_text().splitlines()) for path in files}
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}
