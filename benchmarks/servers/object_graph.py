"""Memory full of small objects, as in an application that has loaded its data."""

from __future__ import annotations

import os
import resource
from typing import Any


def ballast(megabytes: int) -> list[object]:
    """Return small objects that take `megabytes` of resident memory."""
    objects: list[object] = []
    wanted = peak_memory() + megabytes * 1_000_000
    while megabytes and peak_memory() < wanted:
        start = len(objects)
        objects += [(number, str(number), {"n": number}) for number in range(start, start + 5000)]
    return objects


def peak_memory() -> int:
    """Return the largest resident memory so far, in bytes. Importing psutil to get the current
    size would add to the memory that is measured."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class ObjectGraph:
    """Records that are built on demand.

    Touching a record means reading it. That alone writes reference counts, so the kernel copies the
    page for the process. Records that are used together may be on the same pages; touching records
    that are apart costs a page for each.
    """

    def __init__(self, megabytes: int) -> None:
        self._megabytes = megabytes
        self._records: list[Any] = []
        self.builder = 0
        """The ID of the process that built the records; 0 before that."""

    def build(self) -> None:
        """Build the records, unless they exist."""
        if not self.builder:
            self._records = ballast(self._megabytes)
            self.builder = os.getpid()

    def touch(self, percent: float, apart: bool) -> None:
        """Read a part of the records and their contents; the same ones in each call."""
        count = int(len(self._records) * percent / 100)
        if not count:
            return
        places = (
            range(0, len(self._records), len(self._records) // count) if apart else range(count)
        )
        for place in places:
            _, text, fields = self._records[place]
            len(text), fields["n"]
