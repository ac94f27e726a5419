"""Real processes on loopback and Unix sockets: at least one test for each guarantee."""
