"""Timings. Tests never look at a clock; what has to be timed is timed here."""
