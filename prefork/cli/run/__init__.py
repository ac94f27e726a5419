"""`prefork run`: run a program unchanged, with our module in the place of the library's."""
