"""Serves the page from the package: one HTML page, and assets whose address changes when they do."""

import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from operator import attrgetter

from starlette.responses import Response

from saywhatwant.worker.endpoint import Handler
from saywhatwant.worker.request import Request

PLAIN = "/page/"
"""The path of the assets in ``index.html``; their version is added behind it."""
FOREVER = "public, max-age=31536000, immutable"
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'; base-uri 'none'; form-action 'none'; frame-ancestors "
)
"""Nothing inline, nothing from other sites, no markup made of text; the origins that may frame the page follow."""
_ANCESTORS = b'name="frame-ancestors" content="'
_WHOLE, _EMBEDDED = b'<html lang="en">', b'<html lang="en" class="embed">'

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml; charset=utf-8",
}
"""Content types by suffix; the standard library's table reads system files and is slow to load."""


class Asset:
    """One file, read and compressed at the first request; served with ``headers``."""

    def __init__(self, name: str, read: Callable[[], bytes], headers: dict[str, str] | None = None) -> None:
        self._read = read
        self._own_headers = headers or {}
        self._type = _TYPES[name.rpartition(".")[2]]

    @cached_property
    def plain(self) -> bytes:
        """Its content."""
        return self._read()

    @cached_property
    def _gzipped(self) -> bytes:
        return gzip.compress(self.plain, mtime=0)

    @cached_property
    def _etag(self) -> str:
        return f'"{blake2b(self.plain, digest_size=6).hexdigest()}"'

    @cached_property
    def headers(self) -> dict[str, str]:
        """What is to be known of it, however it is sent."""
        return self._own_headers | {"content-type": self._type, "x-content-type-options": "nosniff"}

    @cached_property
    def _headers(self) -> dict[str, str]:
        return self.headers | {"vary": "accept-encoding", "etag": self._etag}

    async def serve(self, request: Request, _: None = None) -> Response:
        """The file, compressed if the client accepts gzip."""
        if self._etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=self._headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self._gzipped, headers=self._headers | {"content-encoding": "gzip"})
        return Response(self.plain, headers=self._headers)


@cache
def version() -> str:
    """The version of the page: a hash of all its files, twelve hex digits."""
    return blake2b(repr(_contents()).encode(), digest_size=6).hexdigest()


@cache
def _contents() -> tuple[tuple[str, bytes], ...]:
    folder = files("saywhatwant.page")
    return (*_files(folder), *_files(folder / "ops", "ops/"), *_files(folder / "vendor", "vendor/"))


def handlers(assets: Mapping[str, Asset]) -> dict[str, Handler]:
    """What serves them, by path."""
    return {path: asset.serve for path, asset in assets.items()}


def page(frame_ancestors: Sequence[str] = ()) -> dict[str, Asset]:
    """The page at ``/`` and, without its masthead, at ``/embed``; the operators' page at ``/ops``; their assets.

    They are under one version of them all, so that modules can use relative names. Pages of the origins ``frame_ancestors``
    may show the page in a frame.
    """
    contents = dict(_contents())
    index, folder = contents.pop("index.html"), f"{PLAIN}{version()}/"
    ops = contents.pop("ops/index.html").replace(PLAIN.encode(), folder.encode())
    whole = index.replace(PLAIN.encode(), folder.encode())
    whole = whole.replace(_ANCESTORS, _ANCESTORS + " ".join(frame_ancestors).encode())
    headers = _page_headers(frame_ancestors)
    found = {
        "/": Asset("index.html", partial(bytes, whole), headers),
        "/embed": Asset("index.html", partial(bytes, whole.replace(_WHOLE, _EMBEDDED)), headers),
        "/ops": Asset("index.html", partial(bytes, ops), _page_headers(())),
    }
    for name, content in contents.items():
        found[folder + name] = Asset(name, partial(bytes, content), {"cache-control": FOREVER})
    return found


def _page_headers(frame_ancestors: Sequence[str]) -> dict[str, str]:
    headers = {
        "cache-control": "no-cache",
        "content-security-policy": CONTENT_POLICY + (" ".join(frame_ancestors) or "'none'"),
        "referrer-policy": "no-referrer",
    }
    # The older header cannot name other origins.
    return headers if frame_ancestors else headers | {"x-frame-options": "DENY"}


def _files(directory: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for file in sorted(directory.iterdir(), key=attrgetter("name")):
        if file.name.endswith((".html", ".css", ".js", ".svg")):
            yield prefix + file.name, file.read_bytes()
