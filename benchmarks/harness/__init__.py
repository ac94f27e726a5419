"""Code shared by the measurements: C programs, servers, the load generator, rounds and clients."""
