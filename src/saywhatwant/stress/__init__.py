"""The stress test: many tabs post and read, and a report shows whether every message was seen and answered exactly once."""

from saywhatwant.stress.chaos import Chaos
from saywhatwant.stress.runner import Plan, Result, run

__all__ = ["Chaos", "Plan", "Result", "run"]
