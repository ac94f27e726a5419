"""`prefork demo`: a CPU-heavy server, driven by real clients, with more and more workers."""
