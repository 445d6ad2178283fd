"""The machine that benchmarks run on."""

import os
import platform

MAX_LOAD = 0.3
"""Runnable processes per core above which figures are too low to publish."""


def describe() -> dict[str, object]:
    """The machine's description for ``results.json``."""
    cores = os.cpu_count() or 1
    return {"cores": cores, "python": platform.python_version(), "system": platform.platform()}


def warning() -> str | None:
    """A warning when the load of the last minute makes figures unreliable; None on a quiet machine."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load <= MAX_LOAD * cores:
        return None
    return f"The machine is busy (load {load:.1f} on {cores} cores): trust ratios and processor time more than figures."
