"""Several that may be ready at a time take turns."""

from __future__ import annotations

from collections.abc import Collection, Iterable


class Turns:
    """Of those that are ready, the one is next whose last turn is longest ago.

    So whoever is ready has its turn after at most one of each other, however busy these are.
    """

    def __init__(self, members: Iterable[int] = ()) -> None:
        self._line = dict.fromkeys(members)  # whoever is first has waited longest

    def join(self, member: int) -> None:
        """A newcomer stands at the end of the line."""
        self._line[member] = None

    def next(self, ready: Collection[int]) -> int:
        """Who is next, of at least one that is `ready`; it goes to the end of the line."""
        member = next(one for one in self._line if one in ready)
        del self._line[member]
        self._line[member] = None
        return member
