"""Load tests: clients, trials and hosted servers; for `bench`, `tune` and `benchmarks/`."""
