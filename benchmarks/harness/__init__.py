"""What the measurements share: C programs, servers, the load generator, rounds and clients."""
