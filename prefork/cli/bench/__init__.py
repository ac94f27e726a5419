"""`prefork bench`: the user's own handler with each strategy and several numbers of workers."""
