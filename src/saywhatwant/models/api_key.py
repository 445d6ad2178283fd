"""The key an entity shows to its provider: it goes into a header, and nowhere else."""

import json
import re
from urllib.parse import quote


class Key:
    """A key as it was found, without the space around it: where it came from a file, there is a line break behind."""

    def __init__(self, found: str) -> None:
        self.text = found.strip()
        forms = {self.text, repr(self.text)[1:-1], json.dumps(self.text)[1:-1]}
        forms |= {quote(self.text, safe, errors="surrogatepass") for safe in ("", "/")}
        self._forms = re.compile("|".join(map(re.escape, forms)), re.IGNORECASE)

    @property
    def fits_a_header(self) -> bool:
        """Whether it can be sent."""
        return self.text.isascii() and self.text.isprintable()

    def redact(self, text: str) -> str:
        """``text`` without this key, as it is or as Python, JSON or a URL would quote it."""
        return self._forms.sub("(the key)", text) if self.text else text
