"""The outcome of a measurement: tables, goals, stored results, plots, and the report."""
