"""Load tests with clients, trials and hosted servers, for `bench`, `tune` and `benchmarks/`."""
