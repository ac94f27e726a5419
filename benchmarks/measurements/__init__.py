"""The measurements: one module each, with `PLAN` and `measure(plan)`."""
