"""A multi-process worker-pool server under the documented `socketserver` API.

`import prefork as socketserver` gives every documented name, and the pool's own.
"""

from prefork.settings import Settings, SettingsError
from prefork.socketserver import *  # noqa: F403
from prefork.socketserver import __all__ as _documented
from prefork.state.reports import StartError, WorkerStatus
from prefork.workers.current import label

__version__ = "0.1.0"

__all__ = [
    "Settings",
    "SettingsError",
    "StartError",
    "WorkerStatus",
    "label",
    *_documented,
]
