"""The worker that this process is, for handlers that want to say something about it."""

from __future__ import annotations

from prefork.workers.protocol.scoreboard import Slot

slot: Slot | None = None
"""This process's place on the scoreboard; `None` outside of a worker. Set at birth."""


def label(text: str) -> None:
    """Say in a few words what the present request is: status and logs show it with the worker.

    At most 96 bytes are kept. Outside of a worker nothing happens, so that a handler may be used
    under any server.
    """
    if slot is not None:
        slot.label(text)
