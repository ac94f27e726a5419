"""No process and no socket but where a descriptor itself is tested; the clock is an argument."""
