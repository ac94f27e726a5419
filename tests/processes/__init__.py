"""Real processes on loopback and Unix sockets: one test for each promise."""
