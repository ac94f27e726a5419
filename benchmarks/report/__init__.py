"""What a measurement has found: tables, goals, stored results, plots, and the report."""
