"""The documented `socketserver` API, and the prefork pool under it.

Every name, default and behaviour of the standard library's module of this name (Python 3.11 to
3.14), written anew over this project's own processes; and `PreforkMixIn` with its four ready-made
servers. The imported modules are part of the API too: programs replace them here.
"""

import os as os
import selectors as selectors
import socket as socket
import sys as sys
import threading as threading
import time as _time
from io import BufferedIOBase as BufferedIOBase

time = _time.monotonic

if __name__ == "socketserver":
    # Found at the root of a checkout, before the standard library's module: there is only one of
    # us, whatever the name it was asked for by.
    from prefork.socketserver.dropin import install

    install()
else:
    _ServerSelector: type[selectors.BaseSelector] = selectors.PollSelector

    from prefork.socketserver.combined import (
        ForkingTCPServer,
        ForkingUDPServer,
        ForkingUnixDatagramServer,
        ForkingUnixStreamServer,
        PreforkTCPServer,
        PreforkUDPServer,
        PreforkUnixDatagramServer,
        PreforkUnixStreamServer,
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
    from prefork.socketserver.pool.group import PreforkGroup
    from prefork.socketserver.pool.mixin import PreforkMixIn
    from prefork.socketserver.servers import (
        BaseServer,
        TCPServer,
        UDPServer,
        UnixDatagramServer,
        UnixStreamServer,
    )

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
