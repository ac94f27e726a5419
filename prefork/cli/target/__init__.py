"""Finds what `MODULE:HANDLER` names, and makes a server class with a pool of it."""
