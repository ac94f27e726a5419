"""Measurements of what a request costs, compared with a C server, the standard library and others.

`python -m benchmarks` runs them; `python -m benchmarks echo` runs one of them.

- `measurements/` has a module for each measurement.
- `harness/` starts servers and load generators, and measures in rounds.
- `servers/` and `peers/` are the programs that are measured, prefork's and others; `c/` is the
  load generator and the C server.
- `report/` makes tables, plots and the report; `results/` holds them, with the figures.
"""
