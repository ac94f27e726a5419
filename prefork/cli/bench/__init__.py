"""`prefork bench`: the user's own handler under each strategy, by more and more workers."""
