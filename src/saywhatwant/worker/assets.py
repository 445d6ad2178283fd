"""Serves the page from the package: one HTML page, and assets whose address changes when they do."""

import gzip
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from operator import attrgetter

from starlette.requests import Request
from starlette.responses import Response

from saywhatwant.worker.endpoint import Handler

PLAIN = b"/page/"
"""The path of the assets in ``index.html``; their hash is added behind it."""
FOREVER = "public, max-age=31536000, immutable"
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from other sites, and no frame around it."""

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
    def _plain(self) -> bytes:
        return self._read()

    @cached_property
    def _gzipped(self) -> bytes:
        return gzip.compress(self._plain, mtime=0)

    @cached_property
    def _etag(self) -> str:
        return f'"{blake2b(self._plain, digest_size=6).hexdigest()}"'

    @cached_property
    def _headers(self) -> dict[str, str]:
        return self._own_headers | {
            "content-type": self._type,
            "x-content-type-options": "nosniff",
            "vary": "accept-encoding",
            "etag": self._etag,
        }

    async def serve(self, request: Request, _: None = None) -> Response:
        """The file, compressed if the client accepts gzip."""
        if self._etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=self._headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self._gzipped, headers=self._headers | {"content-encoding": "gzip"})
        return Response(self._plain, headers=self._headers)


def handlers() -> dict[str, Handler]:
    """The page at ``/``, and its assets under one hash of them all, so that modules can use relative names."""
    contents = dict(_files(files("saywhatwant.page"))) | dict(_files(files("saywhatwant.page") / "vendor", "vendor/"))
    index = contents.pop("index.html")
    digest = blake2b(repr(contents).encode(), digest_size=6).hexdigest()
    page = index.replace(PLAIN, PLAIN + digest.encode() + b"/")
    page_headers = {"cache-control": "no-cache", "content-security-policy": CONTENT_POLICY, "referrer-policy": "no-referrer"}
    found = {"/": Asset("index.html", partial(bytes, page), page_headers)}
    for name, content in contents.items():
        found[f"/page/{digest}/{name}"] = Asset(name, partial(bytes, content), {"cache-control": FOREVER})
    return {path: asset.serve for path, asset in found.items()}


def _files(directory: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for file in sorted(directory.iterdir(), key=attrgetter("name")):
        if file.name.endswith((".html", ".css", ".js", ".svg")):
            yield prefix + file.name, file.read_bytes()
