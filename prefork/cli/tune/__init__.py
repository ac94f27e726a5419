"""`prefork tune`: how many workers, measured with the user's own handler, and why."""
