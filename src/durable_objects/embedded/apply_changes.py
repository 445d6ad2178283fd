"""Applies what was committed after a backup to a copy of its data file. It is copied into each backup, and needs only Python.

    python3 apply_changes.py COPY [UNTIL]

UNTIL is a time in milliseconds since 1970: nothing that was committed after it is applied.
"""

import json
import sys
import zlib
from hashlib import sha256
from pathlib import Path


def apply_changes(copy: Path, until: float) -> None:
    """Apply the changes beside this file. Ends with an error, before it changes more, at a file that is damaged."""
    backup = Path(__file__).parent
    last = json.loads((backup / "manifest.json").read_text())["sha256"]
    with copy.open("r+b") as file:
        for path in sorted(path for path in (backup / "changes").glob("*") if path.name.isdecimal()):
            digest, _, rest = path.read_bytes().partition(b"\n")
            if sha256(rest).hexdigest() != digest.decode():
                sys.exit(f"{path} was cut or changed; what is before it has been applied")
            header, _, packed = rest.partition(b"\n")
            step, pages = json.loads(header), zlib.decompress(packed)
            if step["after"] != last:
                sys.exit(f"a file is missing before {path}; what is before that has been applied")
            if step["until"] > until:
                break
            size = step["page_size"]
            for place, number in enumerate(step["pages"]):
                file.seek((number - 1) * size)
                file.write(pages[place * size : (place + 1) * size])
            file.truncate(step["page_count"] * size)
            last = digest.decode()


if __name__ == "__main__":
    apply_changes(Path(sys.argv[1]), float(sys.argv[2]) if sys.argv[2:] else float("inf"))
