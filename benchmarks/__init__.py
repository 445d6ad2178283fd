"""Timings; they live here and never in tests."""
