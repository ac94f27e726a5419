"""Decisions, as pure functions and small classes; the clock is an argument."""
