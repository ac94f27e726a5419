"""Finds what `MODULE:HANDLER` names, and turns it into a server class with a pool."""
