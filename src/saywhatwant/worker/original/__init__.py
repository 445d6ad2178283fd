"""The dialect of the original's pages and bots, under ``/original``: translated here, and unknown everywhere else."""

from saywhatwant.worker.original.dialect_app import ORIGINAL_OPERATIONS, OriginalProblem, original_app

__all__ = ["ORIGINAL_OPERATIONS", "OriginalProblem", "original_app"]
