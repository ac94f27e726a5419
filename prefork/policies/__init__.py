"""Decisions: pure functions and small records, with the clock as an argument."""
