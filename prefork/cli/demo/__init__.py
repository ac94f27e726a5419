"""`prefork demo`: `prefork bench` with a CPU-heavy handler of its own."""
