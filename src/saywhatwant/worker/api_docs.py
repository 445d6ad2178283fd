"""The OpenAPI document, and a page that shows it without a network. Both are made at the first request."""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import msgspec

from saywhatwant.worker.assets import Asset

_SWAGGER = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
"""The files of Swagger UI that the page loads."""


def pages(*, max_text: int, needs_token: bool) -> dict[str, Asset]:
    """The document at ``/api/openapi.json``, the page at ``/api/docs``, and its assets."""

    def document() -> bytes:
        from saywhatwant.worker import openapi  # noqa: PLC0415 - slow to load and rarely needed

        return msgspec.json.encode(openapi.document(max_text=max_text, needs_token=needs_token))

    docs = files("saywhatwant.worker") / "docs"
    swagger = _swagger()
    found = {
        "/api/openapi.json": Asset("openapi.json", document),
        "/api/docs": Asset("index.html", (docs / "index.html").read_bytes),
        "/api/docs/docs.js": Asset("docs.js", (docs / "docs.js").read_bytes),
    }
    if swagger is not None:
        found |= {f"/api/docs/assets/{name}": Asset(name, (swagger / name).read_bytes) for name in _SWAGGER}
    return found


def _swagger() -> Path | None:
    """The directory of its files; None where it is not installed, since something else serves them."""
    # Only its files are needed: importing the package would load a web framework adapter.
    spec = find_spec("swagger_ui")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "static"
