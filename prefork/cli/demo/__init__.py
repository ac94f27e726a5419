"""`prefork demo`: `prefork bench` with a built-in, CPU-heavy handler."""
