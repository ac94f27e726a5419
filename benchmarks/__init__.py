"""Measurements of what a request costs, against a C server and the standard library.

`python -m benchmarks` runs them all, `python -m benchmarks echo` one of them.
"""
