"""The pool behind a documented server: `PreforkMixIn`, `PreforkGroup`, and how others see them."""

from __future__ import annotations


def public_names() -> dict[str, type]:
    """Load the pool; return its classes by their names.

    Where `prefork.socketserver` stands in for the standard library's module, the classes say
    `socketserver` as their module, as `install()` has it for the others.
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
