"""The state of a pool: state machines, worker table, status, exit reports. No system calls."""
