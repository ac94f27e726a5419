"""`prefork bench`: compares strategies and numbers of workers with the user's handler."""
