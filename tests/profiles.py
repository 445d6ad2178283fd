"""How many examples Hypothesis tries: ``HYPOTHESIS_PROFILE`` is ``ci``, ``full`` or ``long``."""

import os
from datetime import timedelta

from hypothesis import HealthCheck, settings

NO_DEADLINE: timedelta | None = None
DEFAULT_EXAMPLES = 100
SCALES = {"ci": 0.25, "full": 1.0, "long": 4.0}
"""Share of the examples that a test asks for. ``ci`` repeats the same ones in every run; the others look for new ones."""


def register(default: str) -> None:
    """Make the profiles known, and load the one that the environment names."""
    for name in SCALES:
        settings.register_profile(
            name,
            max_examples=_scaled(DEFAULT_EXAMPLES, name),
            deadline=NO_DEADLINE,
            database=None,
            derandomize=name == "ci",
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],  # a clock would decide
        )
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", default))


def examples(count: int) -> int:
    """``max_examples`` of a test that wants ``count`` of them in a full run."""
    return _scaled(count, settings.get_current_profile_name())


def _scaled(count: int, profile: str) -> int:
    return max(1, round(count * SCALES[profile]))
