"""Clients, trials and hosted servers: `bench`, `tune`, `demo` and `benchmarks/` measure with it."""
