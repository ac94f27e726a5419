"""Load for the servers of this machine, and what it costs them: what `demo` and `bench` share."""
