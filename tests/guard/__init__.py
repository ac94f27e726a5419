"""Checks of the checkout itself: layout, imports, names, documentation."""
