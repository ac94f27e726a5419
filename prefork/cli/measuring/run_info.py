"""The fields that every record of a measuring command begins with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime

from prefork import __version__
from prefork.loadtest.machine import Machine


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """Says what was measured, when, and on which machine."""

    target: str
    scheme: str
    client: str | None
    request: bytes | None
    seconds: float
    machine: Machine
    others_percent: float
    """The share of its CPU that other programs used during the trials, in percent."""
    when: datetime = field(default_factory=lambda: datetime.now().astimezone())

    def head_as_json(self) -> dict[str, object]:
        """Return the first part of the file."""
        return {
            "prefork": __version__,
            "when": self.when.isoformat(timespec="seconds"),
            "machine": asdict(self.machine),
            "others_percent": self.others_percent,
            "target": self.target,
            "kind": self.scheme,
            "client": self.client,
            "request": None if self.request is None else self.request.decode("latin-1"),
            "seconds": self.seconds,
        }
