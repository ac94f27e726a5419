"""The worker that this process is, for handlers that label their request."""

from __future__ import annotations

from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.scoreboard import Slot

slot: Slot | None = None
"""This process's place on the scoreboard; `None` outside a worker. Set when the worker starts."""

in_flight: InFlight | None = None
"""The requests of a worker with threads; `None` if the worker serves one request at a time."""


def label(text: str) -> None:
    """Describe the present request in a few words; status and logs show them with the worker.

    At most 96 bytes are kept. With threads, the label belongs to the request that the calling
    thread serves. Outside a worker this does nothing, so a handler can be used under any server.
    """
    if in_flight is not None and in_flight.label(text):
        return
    if slot is not None:
        slot.label(text)
