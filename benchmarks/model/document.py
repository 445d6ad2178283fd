"""``python -m benchmarks.model.document``: write the tables of docs/cluster.md, from what was measured."""

from pathlib import Path

from benchmarks.model.demands import MEASURED, measurements
from benchmarks.model.tables import tables

DOCUMENT = Path("docs/cluster.md")
BEGIN, END = "<!-- made by benchmarks/model/document.py: {} -->\n", "<!-- end -->\n"


def generated(document: str, measured: Path = MEASURED) -> str:
    """``document`` with the current tables."""
    for name, table in tables(measurements(measured)).items():
        begin = BEGIN.format(name)
        before, _, rest = document.partition(begin)
        _, _, after = rest.partition(END)
        document = f"{before}{begin}\n{table}\n\n{END}{after}"
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(generated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
