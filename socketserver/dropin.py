"""Replaces the standard library's `socketserver` by this package."""

from __future__ import annotations

import sys

import prefork.socketserver as api


def install() -> None:
    """Make `import socketserver` return `prefork.socketserver` in this interpreter from now on.

    The `__module__` of the public classes becomes `socketserver`, as pickles and reports expect.
    Code that has already imported the standard library's module keeps that module.
    """
    sys.modules["socketserver"] = api
    for name in api.__all__:
        if name in vars(api):  # the names of the pool may not be loaded yet
            vars(api)[name].__module__ = "socketserver"
