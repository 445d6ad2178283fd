"""The modules that a command imports at its start, since imports take most of the start."""

import subprocess
import sys
from pathlib import Path

import pytest

from servers import environment

CLICK = {"click", "msgspec", "typing_extensions"}
"""msgspec imports typing_extensions where it is installed."""
SERVER = {
    *CLICK,
    "anyio",
    "cython_runtime",
    "httptools",
    "sniffio",
    "sortedcontainers",
    "starlette",
    "uvicorn",
    "uvloop",
    "websockets",
}
ALLOWED = {"--version": set[str](), "--help": CLICK, "serve": SERVER, "up": SERVER}

PRINT_MODULES_AT_EXIT = """
import sys
from saywhatwant.commands import main
sys.argv = ["sww", {option!r}]
try:
    main()
finally:
    sys.stdout.write("\\n" + " ".join(sys.modules))
"""
PRINT_MODULES_WHEN_READY = """
import os
import sys
from importlib import import_module

def print_modules(url):
    sys.stdout.write("\\n" + " ".join(sys.modules))
    sys.stdout.flush()
    os._exit(0)

sys.argv = ["sww", {command!r}, "--bind", "127.0.0.1:0"]
from saywhatwant.commands import main
import_module("saywhatwant.commands.{command}").print_ready = print_modules
main()
"""


def modules(directory: Path, argument: str) -> set[str]:
    """The modules that ``sww`` has imported when it is ready, or when it exits."""
    script = PRINT_MODULES_AT_EXIT if argument.startswith("-") else PRINT_MODULES_WHEN_READY
    done = subprocess.run(
        [sys.executable, "-c", script.format(option=argument, command=argument)],
        cwd=directory,
        env={name: value for name, value in environment().items() if not name.startswith("COVERAGE")},  # it imports more
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("argument", ALLOWED)
def test_p9_a_start_imports_no_package_that_it_does_not_need(tmp_path: Path, argument: str) -> None:
    packages = {module.partition(".")[0] for module in modules(tmp_path, argument)}
    pythons = {name for name in packages if name in sys.stdlib_module_names or name.startswith("_")}
    assert sorted(packages - pythons - {"saywhatwant", "durable_objects"} - ALLOWED[argument]) == []


def test_help_imports_no_command(tmp_path: Path) -> None:
    imported = modules(tmp_path, "--help")
    assert "saywhatwant.commands.app" in imported
    assert not {"saywhatwant.commands.up", "saywhatwant.commands.stress", "saywhatwant.settings", "asyncio"} & imported
