"""Another checkout of this product, installed in its own environment."""

import io
import subprocess
import tarfile
import venv
from hashlib import sha256
from pathlib import Path

from benchmarks.contenders.product import NAME, Product
from benchmarks.failures import Missing

CACHE = Path(".venv-against")
"""Directory of checkouts and their environments, one per commit; git ignores it."""
EXTRAS = ("server", "bot")
"""The extras that the server and ``sww`` need; older checkouts have none."""


def other_product(reference: str) -> Product:
    """The product of a checkout: a directory, or anything that git resolves to a commit of this repository.

    It is installed in its own environment, with the versions that the checkout pins, and kept for the next run. Raises
    ``Missing``.
    """
    path = Path(reference)
    if path.is_dir():
        own = path / ".venv" / "bin" / "sww"
        checkout = path.resolve()
        sww = own.absolute() if own.exists() else _installed(checkout, _environment(str(checkout)))
    else:
        commit = _commit(reference)
        environment = _environment(commit)
        checkout = environment / "source"
        if not checkout.exists():
            _unpack(commit, checkout)
        sww = _installed(checkout, environment)
    return Product(f"{NAME}, {reference}", sww)


def _environment(key: str) -> Path:
    return CACHE.absolute() / sha256(key.encode()).hexdigest()[:12]


def _commit(reference: str) -> str:
    command = ("git", "rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{reference} is neither a directory nor a commit of this repository")
    return done.stdout.strip()


def _unpack(commit: str, directory: Path) -> None:
    archive = subprocess.run(("git", "archive", "--format=tar", commit), check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(directory, filter="data")


def _installed(checkout: Path, environment: Path) -> Path:
    sww = environment / "bin" / "sww"
    if sww.exists():
        return sww
    venv.create(environment, with_pip=True)
    pins = checkout / "constraints.txt"
    constraint = ("--constraint", str(pins)) if pins.exists() else ()
    project = f"{checkout}[{','.join(EXTRAS)}]"
    command = (str(environment / "bin" / "pip"), "install", "--quiet", *constraint, "--editable", project)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{checkout} cannot be installed: {done.stderr}")
    return sww
