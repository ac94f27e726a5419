"""The inside of a worker, and what both sides of a fork must agree on."""
