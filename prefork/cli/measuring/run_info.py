"""What any run of a measuring command is of: what was asked, when, and of which machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime

from prefork import __version__
from prefork.loadtest.machine import Machine


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """The part of a record that all of them have in common."""

    target: str
    scheme: str
    client: str | None
    request: bytes | None
    seconds: float
    machine: Machine
    others_percent: float
    """What others took of it during the measurements."""
    when: datetime = field(default_factory=lambda: datetime.now().astimezone())

    def head_as_json(self) -> dict[str, object]:
        """The beginning of the file."""
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
