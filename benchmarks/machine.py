"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass

from prefork.cli.load.machine import processor


@dataclass(frozen=True)
class Machine:
    cores: int
    processor: str
    kernel: str
    python: str

    @classmethod
    def here(cls) -> Machine:
        version = re.match(r"[\d.]+", platform.release())
        return cls(
            cores=len(os.sched_getaffinity(0)),
            processor=processor(),
            kernel=f"{platform.system()} {version.group() if version else platform.release()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
        )

    def __str__(self) -> str:
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return f"{cores} ({self.processor}), {self.kernel}, {self.python}"
