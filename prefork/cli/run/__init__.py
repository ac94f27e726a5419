"""`prefork run`: runs a program unchanged, with this package in place of the library's module."""
