"""A multi-process worker-pool server under the documented `socketserver` API.

`import prefork as socketserver` gives every documented name, and the pool's own. The latter are
loaded when they are first used (PEP 562).
"""

from prefork.socketserver import (
    BaseRequestHandler,
    BaseServer,
    DatagramRequestHandler,
    ForkingMixIn,
    ForkingTCPServer,
    ForkingUDPServer,
    ForkingUnixDatagramServer,
    ForkingUnixStreamServer,
    StreamRequestHandler,
    TCPServer,
    ThreadingMixIn,
    ThreadingTCPServer,
    ThreadingUDPServer,
    ThreadingUnixDatagramServer,
    ThreadingUnixStreamServer,
    UDPServer,
    UnixDatagramServer,
    UnixStreamServer,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from prefork.settings import Settings, SettingsError
    from prefork.socketserver import (
        PreforkGroup,
        PreforkMixIn,
        PreforkTCPServer,
        PreforkUDPServer,
        PreforkUnixDatagramServer,
        PreforkUnixStreamServer,
    )
    from prefork.state.exit_reports import StartError
    from prefork.state.worker_status import WorkerStatus
    from prefork.workers.current import label

__version__ = "0.1.0"

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
    "Settings",
    "SettingsError",
    "StartError",
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
    "WorkerStatus",
    "label",
]

_DEFINED_IN = {
    "Settings": "prefork.settings",
    "SettingsError": "prefork.settings",
    "StartError": "prefork.state.exit_reports",
    "WorkerStatus": "prefork.state.worker_status",
    "label": "prefork.workers.current",
}
"""Where the names are found that `prefork.socketserver` does not have."""


def __getattr__(name: str) -> object:
    """Load a name of the pool when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_DEFINED_IN.get(name, "prefork.socketserver"))
    globals()[name] = value = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
