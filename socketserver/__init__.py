"""The documented `socketserver` API, and pools of worker processes under it.

A new implementation of every name, default and behaviour of the standard library's `socketserver`
(Python 3.11 to 3.15), with `PreforkMixIn`, its four ready-made servers and `PreforkGroup` in
addition. The imported modules are also part of the API: programs replace them here.

Importing this package loads only what the documented classes need. The names of the pool are loaded
when they are first used (PEP 562), so that a program without a pool does not pay for one.
"""

import os as os
import selectors as selectors
import socket as socket
import sys as sys
import threading as threading
import time as _time
from io import BufferedIOBase as BufferedIOBase

time = _time.monotonic

TYPE_CHECKING = False

if __name__ == "socketserver":
    # Imported from the root of a checkout, instead of the standard library's module. Both names
    # must refer to the same module object.
    from prefork.socketserver.dropin import install

    install()
else:
    _ServerSelector: type[selectors.BaseSelector] = selectors.PollSelector

    from prefork.socketserver.combined import (
        ForkingTCPServer,
        ForkingUDPServer,
        ForkingUnixDatagramServer,
        ForkingUnixStreamServer,
        ThreadingTCPServer,
        ThreadingUDPServer,
        ThreadingUnixDatagramServer,
        ThreadingUnixStreamServer,
    )
    from prefork.socketserver.handlers import (
        BaseRequestHandler,
        DatagramRequestHandler,
        StreamRequestHandler,
    )
    from prefork.socketserver.handlers import _SocketWriter as _SocketWriter
    from prefork.socketserver.mixins import (
        ForkingMixIn,
        ThreadingMixIn,
    )
    from prefork.socketserver.mixins import _NoThreads as _NoThreads
    from prefork.socketserver.mixins import _Threads as _Threads
    from prefork.socketserver.servers import (
        BaseServer,
        TCPServer,
        UDPServer,
        UnixDatagramServer,
        UnixStreamServer,
    )

    if TYPE_CHECKING:
        from prefork.socketserver.pool.group import PreforkGroup
        from prefork.socketserver.pool.mixin import PreforkMixIn
        from prefork.socketserver.pool.ready_made import (
            PreforkTCPServer,
            PreforkUDPServer,
            PreforkUnixDatagramServer,
            PreforkUnixStreamServer,
        )

    if sys.version_info < (3, 15):
        __version__ = "0.4"

    __all__ = [
        "BaseRequestHandler",
        "BaseServer",
        "DatagramRequestHandler",
        "ForkingMixIn",
        "ForkingTCPServer",
        "ForkingUDPServer",
        "ForkingUnixDatagramServer",
        "ForkingUnixStreamServer",
        "PreforkGroup",
        "PreforkMixIn",
        "PreforkTCPServer",
        "PreforkUDPServer",
        "PreforkUnixDatagramServer",
        "PreforkUnixStreamServer",
        "StreamRequestHandler",
        "TCPServer",
        "ThreadingMixIn",
        "ThreadingTCPServer",
        "ThreadingUDPServer",
        "ThreadingUnixDatagramServer",
        "ThreadingUnixStreamServer",
        "UDPServer",
        "UnixDatagramServer",
        "UnixStreamServer",
    ]

    def __getattr__(name: str) -> object:
        """Load the pool when one of its names is used; since Python 3.15, also `__version__`."""
        if name.startswith("Prefork") and name in __all__:
            from prefork.socketserver import pool

            for public, value in pool.public_names().items():
                globals().setdefault(public, value)  # a program may have replaced some
            return globals()[name]
        if name == "__version__":
            from warnings import warn

            sentence = "'__version__' is deprecated and slated for removal in Python 3.20"
            warn(sentence, DeprecationWarning, stacklevel=2)
            return "0.4"
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
