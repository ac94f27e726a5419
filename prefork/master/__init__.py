"""Everything that runs in the master process: one selector, every fork, every wait.

It may use every room below it. It knows a server only by the hooks of `ServerInMaster`.
"""
