"""Everything that runs in the master process: one selector, every fork, every wait.

It may import from every package below it. It knows a server only through `ServerInMaster`.
"""
