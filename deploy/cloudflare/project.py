"""A Python worker and its Durable Objects: a folder with ``wrangler.jsonc``, and ``main.py`` in ``src/``."""

import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundle import HARNESS, HERE, interpreter
from config import Assets, Config

_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*')
_PYTHON = "python_workers"
"""The flag that makes workerd load Pyodide itself, from the network."""
_CLASSES = 'import { durableObject, worker } from "entry.mjs";\n\nexport default worker("Default");\n'


@dataclass(frozen=True, kw_only=True)
class Project:
    """What the harness wants to know of a project."""

    folder: Path
    compatibility_date: str
    compatibility_flags: Sequence[str]
    objects: Mapping[str, str]
    """The binding of each Durable Object class, and its name."""
    assets: Mapping[str, Any] | None
    """What is said of the static assets."""
    variables: Mapping[str, str]
    """Bindings that are text, from ``vars``."""

    def config(
        self,
        build: Path,
        folder: Path,
        *,
        files: Sequence[Path] = (),
        environment: Sequence[str] = (),
        assets: Path | None = None,
    ) -> Config:
        """How workerd runs it with what is in ``build``; ``folder`` gets files that workerd reads when it starts.

        ``files`` are put beside ``main.py``. ``environment`` names variables that become bindings. ``assets`` is the folder of
        the static assets.
        """
        classes = folder / "classes.mjs"
        classes.write_text(
            _CLASSES + "".join(f'export const {name} = durableObject("{name}");\n' for name in self.objects.values())
        )
        with tarfile.open(folder / "project.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for file in [*sorted((self.folder / "src").glob("*.py")), *files]:
                tar.add(file, file.name)
        modules = {"classes.mjs": classes, "entry.mjs": HARNESS / "entry.mjs", "snapshot.bin": build / "snapshot.bin"}
        return Config(
            modules=modules | interpreter(build, folder / "project.tar"),
            compatibility_date=self.compatibility_date,
            compatibility_flags=[flag for flag in self.compatibility_flags if flag != _PYTHON],
            objects=self.objects,
            variables=self.variables,
            environment=environment,
            assets=self._assets(assets) if self.assets and assets else None,
        )

    def _assets(self, folder: Path) -> Assets:
        rules = dict(self.assets or {})
        rules.pop("directory")
        return Assets(binding=rules.pop("binding"), folder=folder, rules=rules)


def read(folder: Path = HERE) -> Project:
    """Read a project. Raises ``OSError``, ``KeyError`` or ``ValueError`` if its file is missing or something else."""
    wrangler = read_jsonc(folder / "wrangler.jsonc")
    return Project(
        folder=folder,
        compatibility_date=wrangler["compatibility_date"],
        compatibility_flags=wrangler.get("compatibility_flags", []),
        objects={one["name"]: one["class_name"] for one in wrangler.get("durable_objects", {}).get("bindings", [])},
        assets=wrangler.get("assets"),
        variables=wrangler.get("vars", {}),
    )


def read_jsonc(file: Path) -> dict[str, Any]:
    """The object in a file of JSON with comments to the end of the line. Raises ``OSError`` or ``ValueError``."""
    found: dict[str, Any] = json.loads(_COMMENT.sub(lambda match: match[1] or "", file.read_text(encoding="utf-8")))
    return found
