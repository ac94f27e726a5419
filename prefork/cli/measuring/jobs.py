"""The command line of a process that hosts servers: what to serve, and where."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from prefork.cli.addresses import Address
from prefork.cli.options import ServeOptions


@dataclass(frozen=True)
class Job:
    """What to serve, and where."""

    target: str
    handler: str | None
    app_dir: str
    address: Address

    def line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, line: str) -> Self:
        return cls(**cls.read(json.loads(line)))

    @classmethod
    def read(cls, written: dict[str, Any]) -> dict[str, Any]:
        """Return the fields, given those read from JSON."""
        return written | {"address": Address(**written["address"])}

    @property
    def options(self) -> ServeOptions:
        return ServeOptions(app_dir=Path(self.app_dir), handler=self.handler)
