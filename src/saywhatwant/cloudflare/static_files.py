"""The page and the API's pages as files that Cloudflare serves by itself: such requests cost nothing, and wake nobody."""

from itertools import chain
from pathlib import Path

from saywhatwant.settings import Settings
from saywhatwant.worker import api_docs, assets
from saywhatwant.worker.assets import Asset

_OF_DIRECTORIES = {"/": "/index"}
"""Paths that end like a directory, and the names of their files."""
_BY_NAME = "content-type"
"""The header that Cloudflare makes from a file's name."""


def write(directory: Path, settings: Settings) -> None:
    """Write all of them below ``directory``, which must be empty; in ``_headers`` is what Cloudflare sends with each."""
    files = assets.page(settings.frame_ancestors)
    files |= api_docs.pages(max_text=settings.max_text, needs_token=settings.token is not None)
    for path, asset in files.items():
        file = directory / _name(path, asset).removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(asset.plain)
    (directory / "_headers").write_text(_headers(files))


def _name(path: str, asset: Asset) -> str:
    """The name of a path's file: of an HTML file, Cloudflare leaves out the suffix."""
    is_page = asset.headers[_BY_NAME].startswith("text/html")
    return f"{_OF_DIRECTORIES.get(path, path)}.html" if is_page else path


def _headers(files: dict[str, Asset]) -> str:
    """A rule for each set of headers that several files have, by their folder, and for each other file one of its own."""
    rules: dict[str, dict[str, str]] = {}
    for path, asset in files.items():
        headers = {name: value for name, value in asset.headers.items() if name != _BY_NAME}
        folder = f"{assets.PLAIN}*"
        rules[folder if path.startswith(assets.PLAIN) else path] = headers
    lines = [[path, *(f"  {name}: {value}" for name, value in headers.items())] for path, headers in rules.items()]
    return "".join(f"{line}\n" for line in chain.from_iterable(lines))
