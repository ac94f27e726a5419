"""Everything that runs inside a worker; in `protocol`, what both sides of a fork agree on.

This package imports only itself. It knows a server only by the hooks of `ServerInWorker`.
"""
