"""Makes what wrangler deploys and what the harness runs, in ``build/``; ``bundle.py download`` gets what that needs.

``build/project/`` has this repository's packages in ``python_modules/``, with those that they need. For the harness the same
files are in one archive, with bytecode, and the memory of an interpreter that has loaded what it can is stored, so that a start
takes one second and not three.
"""

import fcntl
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from config import Config
from workerd import PACKAGES, Workerd, WorkerdFailed, WorkerdMissing

HERE = Path(__file__).resolve().parent
HARNESS = HERE / "harness"
BUILD = HERE / "build"
WHEELS = HERE / "wheels"
SOURCES = HERE.parents[1] / "src"
PACKAGES_HERE = ("durable_objects", "saywhatwant")
_DATE = "2026-09-08"
_PYTHON, _ABI, _PLATFORM = "3.14", "cp314", "pyemscripten_2026_0_wasm32"
"""Those of the Pyodide that package.json pins, and of Cloudflare's from that date on."""
_PYODIDE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide-lock.json", "python_stdlib.zip")
_HARNESS = ("platform.mjs", "tar.mjs", "python.mjs")
_LEFT_OUT = (".dist-info/", "__pycache__/", ".pth", ".pyi")
_OWN = ("src/main.py", "wrangler.jsonc", "pyproject.toml")
"""Files of the project that are the same in its build."""


def bundle() -> Path:
    """Make ``build/`` unless it is up to date, and return it. One process at a time does so.

    Raises:
        WorkerdMissing: something that it needs is not installed.
        WorkerdFailed: the sources cannot be loaded; what workerd logged says why.
    """
    with (HERE / ".build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wheels = [_wheel(requirement) for requirement in requirements()]
        stamp = _digest(wheels)
        if not (BUILD / stamp).exists():
            with tempfile.TemporaryDirectory(dir=HERE, prefix=".build-") as folder:
                made = Path(folder)
                _make(wheels, made)
                shutil.rmtree(BUILD, ignore_errors=True)
                shutil.copytree(made, BUILD)
                (BUILD / stamp).touch()  # last: a copy that was broken off must not count as made
    return BUILD


def download() -> None:
    """Get the wheels that are needed and not there, for Pyodide. Raises ``subprocess.CalledProcessError``."""
    missing = [requirement for requirement in requirements() if not _wheels(requirement)]
    if not missing:
        return
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    wheels = ("--only-binary", ":all:", "--no-deps", "--dest", str(WHEELS))
    python = ("--implementation", "cp", "--python-version", _PYTHON, "--abi", _ABI, "--abi", "none")
    machines = ("--platform", _PLATFORM, "--platform", "any")
    subprocess.run([*pip, *wheels, *python, *machines, *missing], check=True)


def requirements() -> list[str]:
    """The Python packages that are needed beside this repository's, each with its version."""
    packages = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return [package for package in packages if package != "saywhatwant"]


def interpreter(build: Path, project: Path) -> dict[str, Path]:
    """The modules that are Pyodide with all sources, and with those in the archive ``project``."""
    files = {name: HARNESS / name for name in _HARNESS} | {name: PACKAGES / "pyodide" / name for name in _PYODIDE}
    return files | {"sources.tar": build / "sources.tar", "project.tar": project}


def _make(wheels: Sequence[Path], build: Path) -> None:
    project = build / "project"
    packages = project / "python_modules"
    for wheel in wheels:
        _unpack(wheel, packages)
    for package in PACKAGES_HERE:
        shutil.copytree(SOURCES / package, packages / package, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "src").mkdir()
    for name in _OWN:
        shutil.copy(HERE / name, project / name)
    with tarfile.open(build / "sources.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for file in _files(packages):
            tar.add(file, str(file.relative_to(project)))
        for name in ("dispatch.py", "prepare.py"):
            tar.add(HARNESS / name, name)
    _prepare(build)


def _prepare(build: Path) -> None:
    """Add bytecode to the archive, and take the snapshot: both in Pyodide itself."""
    with tarfile.open(build / "main.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(HERE / "src/main.py", "main.py")
    with _builder(build) as builder:
        loaded = json.loads(_get(builder, "/modules"))
        bytecode = io.BytesIO(_get(builder, "/bytecode"))
    with tarfile.open(fileobj=bytecode) as made, tarfile.open(build / "sources.tar", "a") as tar:
        for member in made:
            tar.addfile(member, made.extractfile(member))
    early = [name for name in loaded if _is_fit_for_a_snapshot(name, build / "project")]
    with _builder(build) as builder:
        (build / "snapshot.bin").write_bytes(_get(builder, "/snapshot", json.dumps(early).encode()))


def _is_fit_for_a_snapshot(name: str, project: Path) -> bool:
    """Whether a module can be loaded before the snapshot is taken: not if it has compiled code, or needs what has it."""
    package = name.partition(".")[0]
    is_own = package in {"main", "dispatch", *PACKAGES_HERE}
    return not is_own and not any((project / "python_modules" / package).rglob("*.so"))


@contextmanager
def _builder(build: Path) -> Iterator[Workerd]:
    modules = {"builder.mjs": HARNESS / "builder.mjs", **interpreter(build, build / "main.tar")}
    with tempfile.TemporaryDirectory() as folder:
        workerd = Workerd(Config(modules=modules, compatibility_date=_DATE), Path(folder))
        workerd.start()
        try:
            yield workerd
        finally:
            workerd.kill()


def _get(builder: Workerd, path: str, body: bytes | None = None) -> bytes:
    status, answer = builder.request("POST" if body else "GET", path, body)
    if status != HTTPStatus.OK:
        raise WorkerdFailed(f"the sources cannot be prepared: {path} gets {status}")
    return answer


def _wheel(requirement: str) -> Path:
    for wheel in _wheels(requirement):
        return wheel
    raise WorkerdMissing(f"the wheel of {requirement} is missing: run deploy/cloudflare/install")


def _wheels(requirement: str) -> list[Path]:
    name, _, version = requirement.partition("==")
    return list(WHEELS.glob(f"{name.replace('-', '_')}-{version}-*.whl"))


def _unpack(wheel: Path, to: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not any(part in name for part in _LEFT_OUT):
                archive.extract(name, to)


def _digest(wheels: Sequence[Path]) -> str:
    """Of all that a build is made of."""
    own = [HERE / name for name in (*_OWN, "bundle.py", "package-lock.json")]
    digest = hashlib.blake2b(repr([wheel.name for wheel in wheels]).encode(), digest_size=16)
    for file in [*own, *_files(HARNESS), *_files(SOURCES)]:
        digest.update(f"\0{file}\0".encode() + hashlib.blake2b(file.read_bytes()).digest())
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != "__pycache__"]


def main() -> None:
    """Do what the command line says."""
    if sys.argv[1:] == ["download"]:
        download()
    else:
        print(bundle())


if __name__ == "__main__":
    main()
