"""The pool of a server: `PreforkMixIn`, `PreforkGroup`, and how the master and workers see them."""

from __future__ import annotations


def public_names() -> dict[str, type]:
    """Load the pool; return its public classes by name.

    If `prefork.socketserver` replaces the standard library's module, the `__module__` of the
    classes is `socketserver`, like `install()` sets it for the others.
    """
    import sys

    import prefork.socketserver as api
    from prefork.socketserver.pool import group, mixin, ready_made

    classes = [
        group.PreforkGroup,
        mixin.PreforkMixIn,
        ready_made.PreforkTCPServer,
        ready_made.PreforkUDPServer,
        ready_made.PreforkUnixDatagramServer,
        ready_made.PreforkUnixStreamServer,
    ]
    if sys.modules.get("socketserver") is api:
        for each in classes:
            each.__module__ = "socketserver"
    return {each.__name__: each for each in classes}
