"""`fork`: the master takes each request and forks a worker for it."""

from __future__ import annotations

from prefork.strategies.base import Strategy


class Fork(Strategy):
    """All as it stands: nobody waits ready, so each request gets a process of its own."""
