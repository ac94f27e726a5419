"""The terminal that a run reports to; 100 columns wide if standard output is a file or a pipe."""

from __future__ import annotations

import sys

from rich.console import Console

console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
