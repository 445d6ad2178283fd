"""Write the table of bounds in docs/reliability.md from the packages' limits.py; ``make limits`` runs this."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

DOCUMENT = Path(__file__).with_name("reliability.md")
SOURCE = Path(__file__).parent.parent / "src"
MODULES = ["durable_objects.limits", "saywhatwant.limits", "saywhatwant.worker.limits"]
BEGIN, END = "<!-- made by docs/limits.py -->\n", "<!-- end -->\n"
UNITS = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def documented(module: str) -> Iterator[tuple[str, object, str]]:
    """Each constant of ``module``: its name, its value, and the text below it."""
    path = SOURCE.joinpath(*module.split(".")).with_suffix(".py")
    values = import_module(module)
    body = ast.parse(path.read_text()).body
    for statement, text in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            name = ast.unparse(target)
            if not name.startswith("_"):
                assert isinstance(text, ast.Expr), f"{module}.{name} has no text below it"
                assert isinstance(text.value, ast.Constant), f"{module}.{name} has no text below it"
                yield name, getattr(values, name), " ".join(str(text.value.value).split())


def shown(name: str, value: object) -> str:
    """A value as people read it."""
    if "BYTES" in name and isinstance(value, int):
        for unit, size in UNITS:
            if value >= size and value % size == 0:
                return f"{value // size:,} {unit}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def table() -> str:
    """One table per module, in the order of its lines."""
    parts = []
    for module in MODULES:
        rows = [f"| `{name}` | {shown(name, value)} | {text} |\n" for name, value, text in documented(module)]
        parts.append(f"`{module}`:\n\n| bound | value | what it bounds |\n|---|---|---|\n{''.join(rows)}\n")
    return "".join(parts)


def generated(document: str) -> str:
    """``document`` with the current table."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(generated(DOCUMENT.read_text()))
