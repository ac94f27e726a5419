"""Memory full of small objects, as in an application that has loaded its data."""

from __future__ import annotations

import os
from typing import Any


def ballast(megabytes: int) -> list[object]:
    """Return small objects that take `megabytes` of resident memory."""
    objects: list[object] = []
    if not megabytes:
        return objects
    import psutil  # a server without ballast stays as small as its own imports make it

    process = psutil.Process()
    wanted = process.memory_info().rss + megabytes * 1_000_000
    while process.memory_info().rss < wanted:
        start = len(objects)
        objects += [(number, str(number), {"n": number}) for number in range(start, start + 5000)]
    return objects


class ObjectGraph:
    """Records that are built on demand.

    To touch a record is to read it. That alone writes reference counts, so the kernel copies the
    page for the process. Records that are used together may lie together; touching records that
    lie apart costs a page for each.
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
