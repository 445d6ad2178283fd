"""Timings. Tests never measure time; everything that is timed is timed here."""
