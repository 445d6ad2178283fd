"""`pip install` installs msgspec alone, and with each extra everything that its modules import."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from servers import DEADLINE_SECONDS

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"saywhatwant", "durable_objects"}

AREAS = {
    "durable_objects/restate": ["restate"],
    "durable_objects": [],
    "saywhatwant/queue": ["server"],
    "saywhatwant/worker": ["server"],
    "saywhatwant/page": ["server"],
    "saywhatwant/topology.py": ["server"],
    "saywhatwant/commands/serve.py": ["server"],
    "saywhatwant/commands/objects.py": ["server"],
    "saywhatwant/commands/joining.py": ["server"],
    "saywhatwant/commands/restate_runtimes.py": ["server", "restate"],
    "saywhatwant/commands/up.py": ["server"],  # until it is ready; its bot is in supervisor.py
    "saywhatwant/commands": ["bot"],
    "saywhatwant/client.py": ["bot"],
    "saywhatwant/bot": ["bot"],
    "saywhatwant/models": ["bot"],
    "saywhatwant/stress": ["bot"],
    "saywhatwant/cost": ["bot"],
    "saywhatwant/cloudflare": ["server"],
    "saywhatwant": [],
}
"""The extra that brings what a module imports; the first entry that fits counts."""
EITHER = {
    "saywhatwant/commands/app.py",
    "saywhatwant/commands/log.py",
    "saywhatwant/commands/options.py",
    "saywhatwant/settings.py",
}
"""Modules that servers and bots run: what they import is in both extras."""

PLATFORM = {"js", "pyodide", "workers"}
"""What Python Workers bring; imported at the border to them alone."""
BORDER = {"durable_objects/cloudflare/border.py", "saywhatwant/cloudflare/entry.py"}

WITHOUT_EXTRAS = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
sys.argv = ["sww", *{arguments}]
from saywhatwant.commands import main
main()
"""


def normal(requirement: str) -> str:
    """The name of a distribution, as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()


def imported(file: Path) -> Iterator[str]:
    """The packages that a module imports, those of Python and our own left out."""
    for node in ast.walk(ast.parse(file.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from {name.partition(".")[0] for name in names} - sys.stdlib_module_names - OURS


def extras_of(module: str) -> list[str]:
    if module in EITHER:
        return ["server", "bot"]
    return next(extras for area, extras in AREAS.items() if module == area or module.startswith(f"{area}/"))


def test_the_base_needs_msgspec_and_nothing_else() -> None:
    assert [normal(requirement) for requirement in PROJECT["dependencies"]] == ["msgspec"]


def test_every_package_that_is_imported_is_declared_where_it_is_needed() -> None:
    distributions = packages_distributions()
    missing = []
    for file in sorted(SRC.rglob("*.py")):
        module = str(file.relative_to(SRC))
        for extras in [[extra] for extra in extras_of(module)] or [[]]:
            declared = {"msgspec"} | {normal(requirement) for extra in extras for requirement in EXTRAS[extra]}
            missing += [
                f"{module} imports {package}, which is not in {extras or 'the base'}"
                for package in sorted({*imported(file)} - (PLATFORM if module in BORDER else set()))
                if not declared & {normal(name) for name in distributions.get(package, [package])}
            ]
    assert missing == []


def test_tests_and_benchmarks_bring_every_runtime_server_and_bot() -> None:
    assert {"saywhatwant[server,bot,restate]"} <= {*EXTRAS["test"]} & {*EXTRAS["bench"]}


def run(arguments: list[str], *extras: str) -> subprocess.CompletedProcess[str]:
    """``sww`` as if only these extras were installed."""
    distributions = packages_distributions()
    installed = {"msgspec"} | {normal(requirement) for extra in extras for requirement in EXTRAS[extra]}
    declared = {normal(requirement) for extra in ("server", "bot", "restate") for requirement in EXTRAS[extra]}
    packages = {name for name, names in distributions.items() if {*map(normal, names)} & (declared - installed)}
    script = WITHOUT_EXTRAS.format(packages=packages, arguments=arguments)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)


@pytest.mark.parametrize("extras", [(), ("server",), ("bot",)], ids=["none", "server", "bot"])
def test_p8_without_its_extras_sww_names_them_in_one_line(extras: tuple[str, ...]) -> None:
    for command in ["serve", "up"] if extras == ("bot",) else ["bot", "post", "tail", "queue", "stress"]:
        done = run([command, "--help"], *extras)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert re.fullmatch(r"sww needs its extras: pip install 'saywhatwant\[server,bot\]' \(\w+ is not installed\)", line)


def test_p8_without_the_extra_of_restate_its_runtime_names_it(tmp_path: Path) -> None:
    done = run(["serve", "--runtime", "restate", "--data", str(tmp_path)], "server", "bot")
    assert done.returncode == 1
    assert re.search(
        r"sww needs its extras: pip install 'saywhatwant\[server,bot,restate\]' \(\w+ is not installed\)\n\Z", done.stderr
    )


def test_p8_up_without_the_bots_extra_does_not_start(tmp_path: Path) -> None:
    """Otherwise a server would run with nobody to answer."""
    done = run(["up", "--bind", "127.0.0.1:0", "--data", str(tmp_path)], "server")
    assert done.returncode == 1
    assert "sww needs its extras" in done.stderr
    assert "ready on" not in done.stderr


def test_the_version_needs_no_extra() -> None:
    assert run(["--version"]).stdout.strip() == PROJECT["version"]
