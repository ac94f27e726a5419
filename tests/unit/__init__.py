"""No processes, and sockets only in tests of descriptors themselves; the clock is an argument."""
