"""A warm graph of objects, as an application has it that has loaded its data."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.serve import ballast


class Graph:
    """So many megabytes of records, once they are built.

    Touching them is reading: that alone writes reference counts, so that the kernel gives the
    process pages of its own. Records that are used together may lie together; what is touched here
    and there costs a page for each.
    """

    def __init__(self, megabytes: int) -> None:
        self._megabytes = megabytes
        self._records: list[Any] = []
        self.builder = 0
        """The pid of the process that has built it."""

    def build(self) -> None:
        """Make the objects, if they are not there."""
        if not self.builder:
            self._records = ballast(self._megabytes)
            self.builder = os.getpid()

    def touch(self, percent: float, apart: bool) -> None:
        """Read so many of the records, with all that hangs on them; always the same ones."""
        count = int(len(self._records) * percent / 100)
        if not count:
            return
        places = (
            range(0, len(self._records), len(self._records) // count) if apart else range(count)
        )
        for place in places:
            _, text, fields = self._records[place]
            len(text), fields["n"]
