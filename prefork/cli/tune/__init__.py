"""`prefork tune`: how many workers, measured under the user's own handler, and why so many."""
