"""Where Restate's programs are: ``restate-server``, and ``restatectl``, which looks after a cluster."""

import os
import platform
import shutil
import sys
from pathlib import Path

from durable_objects.errors import DurableObjectError

_PACKAGES = Path(__file__).resolve().parents[3] / "deploy/restate/node_modules/@restatedev"
"""Where ``make restate`` installs them, in a checkout."""
_ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}
"""npm's names of machines, where they differ from Python's."""


class RestateMissing(DurableObjectError):
    """A program of Restate is not installed."""


def restate_server() -> Path:
    """The server: ``RESTATE_SERVER`` (its path) if set, else what `make restate` installed, else the one in ``PATH``.

    Raises:
        RestateMissing: there is none; the error says how to install it.
    """
    return _program("restate-server", "RESTATE_SERVER")


def restatectl() -> Path:
    """The operator's command: ``RESTATECTL`` (its path) if set, else found as the server is.

    Raises:
        RestateMissing: there is none; the error says how to install it.
    """
    return _program("restatectl", "RESTATECTL")


def _program(name: str, variable: str) -> Path:
    if chosen := os.environ.get(variable):
        if not os.access(chosen, os.X_OK):
            raise RestateMissing(f"{variable} is {chosen!r}, which is no program")
        return Path(chosen)
    machine = platform.machine().lower()
    package = f"{name}-{sys.platform}-{_ARCHITECTURES.get(machine, machine)}"
    # Not npm's own link to it, which is a Node.js program that starts this one: it would take part in every signal.
    installed = _PACKAGES / package / "bin" / name
    if os.access(installed, os.X_OK):
        return installed
    if found := shutil.which(name):
        return Path(found)
    raise RestateMissing(
        f"{name} is not installed: run `make restate` in a checkout, or install the npm package @restatedev/{name} "
        f"and set {variable} to the program's path"
    )
