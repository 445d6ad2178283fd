"""What ``builder.mjs`` runs in Pyodide to prepare a project."""

import compileall
import importlib
import io
import py_compile
import sys
import tarfile
from pathlib import Path

FOLDER = Path("/session")


def modules() -> list[str]:
    """All modules that are loaded when the project is, in their order."""
    before = set(sys.modules)
    importlib.import_module("dispatch")
    return [name for name in sys.modules if name not in before]


def load(names: list[str]) -> None:
    """Import these modules."""
    for name in names:
        importlib.import_module(name)


def bytecode() -> bytes:
    """An archive of all packages as bytecode, which is used without a look at the source's age."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for folder in FOLDER.iterdir():
        if folder.is_dir():
            compileall.compile_dir(folder, quiet=2, invalidation_mode=mode)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for file in sorted(FOLDER.rglob("*.pyc")):
            tar.add(file, str(file.relative_to(FOLDER)))
    return archive.getvalue()
