"""`prefork serve`: serves a handler or a server class until a signal stops it."""
