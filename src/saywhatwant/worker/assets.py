"""The wall in the browser, from the package: one HTML page, and assets whose address changes when they do."""

import gzip
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from mimetypes import guess_type

from starlette.requests import Request
from starlette.responses import Response

from saywhatwant.worker.endpoint import Handler

PLAIN = b"/page/"
"""Where ``index.html`` says that its assets are; it is served with their hash behind this."""
FOREVER = "public, max-age=31536000, immutable"
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere, and in nobody's frame."""


class Asset:
    """One file, plain and compressed once; served with ``headers``."""

    def __init__(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        self._plain = content
        self._gzipped = gzip.compress(content, mtime=0)
        kind, _ = guess_type(name)
        self._etag = f'"{blake2b(content, digest_size=6).hexdigest()}"'
        self._headers = headers | {
            "content-type": f"{kind}; charset=utf-8",
            "x-content-type-options": "nosniff",
            "vary": "accept-encoding",
            "etag": self._etag,
        }

    async def serve(self, request: Request) -> Response:
        """The file, compressed for those who take that."""
        if self._etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=self._headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self._gzipped, headers=self._headers | {"content-encoding": "gzip"})
        return Response(self._plain, headers=self._headers)


def handlers() -> dict[str, Handler]:
    """The page at ``/``, and its assets under one hash of them all, so that modules find each other by relative names."""
    index, *assets = sorted(_files(), key=lambda file: file.name != "index.html")
    contents = {file.name: file.read_bytes() for file in assets}
    digest = blake2b(repr(contents).encode(), digest_size=6).hexdigest()
    page = index.read_bytes().replace(PLAIN, PLAIN + digest.encode() + b"/")
    page_headers = {"cache-control": "no-cache", "content-security-policy": CONTENT_POLICY, "referrer-policy": "no-referrer"}
    found: dict[str, Handler] = {"/": Asset(index.name, page, page_headers).serve}
    for name, content in contents.items():
        found[f"/page/{digest}/{name}"] = Asset(name, content, {"cache-control": FOREVER}).serve
    return found


def _files() -> list[Traversable]:
    return [file for file in files("saywhatwant.page").iterdir() if file.name.endswith((".html", ".css", ".js", ".svg"))]
