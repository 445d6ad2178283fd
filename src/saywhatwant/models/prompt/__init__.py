"""The prompt of an answer.

``turns`` builds it from ``exchanges`` of the talk, among them those that ``recall`` finds. ``tokens`` estimates lengths;
``room`` knows how much fits the model's window.
"""

from saywhatwant.models.prompt.turns import Memory, build, tokens_of_turns

__all__ = ["Memory", "build", "tokens_of_turns"]
