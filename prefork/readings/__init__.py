"""What the kernel says of queues, memory and processors: read-only, and without psutil.

The master uses this package each time it looks at the load, and every worker inherits the master's
modules: psutil would add 13 ms and 1.7 MB to both. `prefork.loadtest` and the commands use psutil.
"""
