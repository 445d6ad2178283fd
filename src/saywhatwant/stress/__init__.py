"""A crowd of tabs that holds a wall to its word, with or without kills in between."""

from saywhatwant.stress.chaos import Chaos
from saywhatwant.stress.trial import Outcome, Plan, run

__all__ = ["Chaos", "Outcome", "Plan", "run"]
