"""`prefork tune`: measures how many workers the user's handler needs, and says why."""
