"""The documents tell the truth: what they show runs, what they list is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from saywhatwant.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_of_the_repository_leads_there(document: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_is_left_to_be_filled_in(document: Path) -> None:
    assert re.findall(r"^(?:[A-Z]{4,}|.* [A-Z]{5,})$", document.read_text(), re.MULTILINE) == []


def test_the_python_of_the_readme_runs_and_counts_on_when_run_again(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", text_of("README.md"), re.DOTALL)
    runs = [
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs == ["1\n", "2\n"]


def test_the_guide_lists_every_setting_and_no_other() -> None:
    listed = re.findall(rf"^\| `{PREFIX}(\w+)`", text_of("docs/operate.md"), re.MULTILINE)
    assert sorted(name.lower() for name in listed) == sorted(Settings.__struct_fields__)


def test_the_map_names_every_module() -> None:
    architecture = text_of("ARCHITECTURE.md")
    modules = [path for path in (ROOT / "src").rglob("*.py") if path.name != "__init__.py"]
    unnamed = [path.name for path in modules if path.stem not in architecture]
    assert unnamed == ["options.py"]  # shared by the commands, none itself


@pytest.mark.parametrize("promise", [f"P{number}" for number in range(1, 10)])
def test_every_promise_is_named_by_tests_and_by_the_page_that_explains_it(promise: str) -> None:
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    naming = [path for path in tests if re.search(rf"\b{promise}\b|_{promise.lower()}_", path.read_text())]
    assert naming
    assert f"**{promise}" in text_of("docs/reliability.md")


@pytest.mark.parametrize("directory", ["src", "tests", "benchmarks"])
def test_no_file_is_too_long_for_one_sitting(directory: str) -> None:
    files = [path for path in (ROOT / directory).rglob("*.py") if "node_modules" not in path.parts]
    lengths = {path.name: len(path.read_text().splitlines()) for path in files}
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}
