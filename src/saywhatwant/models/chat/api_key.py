"""The API key that an entity sends to its provider: in a header, and nowhere else."""

import json
import os
import re
from urllib.parse import quote

from saywhatwant.entities import Entity


class ApiKey:
    """A key without surrounding whitespace: keys read from a file often end with a line break."""

    def __init__(self, found: str) -> None:
        self.text = found.strip()
        forms = {self.text, repr(self.text)[1:-1], json.dumps(self.text)[1:-1]}
        forms |= {quote(self.text, safe, errors="surrogatepass") for safe in ("", "/")}
        self._forms = re.compile("|".join(map(re.escape, forms)), re.IGNORECASE)

    @property
    def fits_a_header(self) -> bool:
        """Whether the key can be sent in an HTTP header."""
        return self.text.isascii() and self.text.isprintable()

    def redact(self, text: str) -> str:
        """``text`` without this key, either verbatim or as quoted by Python, JSON or a URL."""
        return self._forms.sub("(the key)", text) if self.text else text


def key_of(entity: Entity) -> ApiKey:
    """The key of an entity; may be empty."""
    return ApiKey(os.environ.get(entity.api_key_env, ""))
