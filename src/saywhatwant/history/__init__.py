"""The history of a wall's figures: a week of minutes, and more than a year of hours."""

from saywhatwant.history.figures import Counted, Figures, Present, Report, Step
from saywhatwant.history.object import History, open_history

__all__ = ["Counted", "Figures", "History", "Present", "Report", "Step", "open_history"]
