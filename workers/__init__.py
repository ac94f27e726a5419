"""Everything that runs inside a worker; in `protocol`, what both sides of a fork agree on.

This room imports nothing above it. It knows a server only by the hooks of `ServerInWorker`.
"""
