"""Sends the log to standard error, with colours on a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Literal

LogLevel = Literal["debug", "info", "warning", "error", "critical"]


def log_to_stderr(level: LogLevel) -> None:
    """Log to standard error, in this process and its workers, at `level` and above."""
    handler: logging.Handler
    if sys.stderr.isatty():
        # Imported here: a service does not need it.
        from rich.console import Console
        from rich.logging import RichHandler

        handler = RichHandler(console=Console(stderr=True), show_path=False)
        handler.setFormatter(logging.Formatter("%(message)s", datefmt="[%X]"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(name)s[%(process)d]: %(message)s")
        )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
