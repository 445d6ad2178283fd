"""The stress test of a cluster: every process is killed in turn, while visitors post and readers read at several gateways."""

from saywhatwant.stress.cluster.siege import SiegePlan, SiegeResult, besiege
from saywhatwant.stress.cluster.target import Target
from saywhatwant.stress.cluster.verdict import Verdict

__all__ = ["SiegePlan", "SiegeResult", "Target", "Verdict", "besiege"]
