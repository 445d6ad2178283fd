"""``python -m benchmarks.model``: what 1, 10, 1,000 walls and a million visitors need, and what is full first.

The service demands are those that ``python -m benchmarks.restate`` measured; the workloads are the original's (20 questions a
visitor and day, each with a reply). It also says how well the model tells the measured loads, each from the others.
"""

import argparse
from pathlib import Path

from benchmarks.model.demands import MEASURED, measurements
from benchmarks.model.tables import tables


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.model", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measured", type=Path, default=MEASURED, help=f"the file of measurements: {MEASURED}")
    for table in tables(measurements(parser.parse_args().measured)).values():
        print(table, end="\n\n")


if __name__ == "__main__":
    main()
