"""The stress test: many tabs post and read, or many visitors talk, and a report shows what was missed, doubled or forgotten."""

from saywhatwant.stress.chaos import Chaos
from saywhatwant.stress.runner import Plan, Result, run
from saywhatwant.stress.talks import TalkPlan, TalkResult, run_talks

__all__ = ["Chaos", "Plan", "Result", "TalkPlan", "TalkResult", "run", "run_talks"]
