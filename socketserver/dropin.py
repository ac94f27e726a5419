"""Puts this module in the place of the standard library's `socketserver`."""

from __future__ import annotations

import sys

import prefork.socketserver as api


def install() -> None:
    """Make `import socketserver` give `prefork.socketserver` in this interpreter from now on.

    The public classes then say `socketserver` as their module, as pickles and reports expect. Code
    that has imported the standard library's module before keeps that module.
    """
    sys.modules["socketserver"] = api
    for name in api.__all__:
        if name in vars(api):  # the names of the pool may not be loaded yet
            vars(api)[name].__module__ = "socketserver"
