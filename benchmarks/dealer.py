"""The pool of dealt.py: it is given cards, and says what each has taken."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders import Contender, Running
from benchmarks.dealt import CARD, NOTE, Card, Note

DEALT = Path(__file__).resolve().with_name("dealt.py")


class Dealer:
    """Deals to the workers of one running server."""

    def __init__(self, server: Running, folder: Path) -> None:
        self.server = server
        self._deck, self._notes, self._times = paths(folder)
        self._first = 0

    def deal(self, cards: Sequence[Card]) -> None:
        """These are the next cards, whatever was left of those before."""
        self._first = self._notes.stat().st_size // NOTE.size
        with self._deck.open("r+b") as deck:
            deck.truncate(CARD.size * self._first)
            deck.seek(0, os.SEEK_END)
            deck.write(b"".join(CARD.pack(*card) for card in cards))

    def notes(self) -> list[Note]:
        """What each request since then has taken, in the order in which they have ended."""
        return [Note(*each) for each in NOTE.iter_unpack(self._notes.read_bytes())][self._first :]

    def write_times(self, times: Sequence[float]) -> str:
        """The name of a file with these times, as the load generator reads them."""
        self._times.write_text("".join(f"{each:.9f}\n" for each in times))
        return str(self._times)


def paths(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "deck", folder / "notes", folder / "times"


@contextmanager
def dealing(name: str, workers: int) -> Iterator[Dealer]:
    """A pool of so many workers that are dealt to."""
    with tempfile.TemporaryDirectory() as folder:
        deck, notes, _ = paths(Path(folder))
        deck.touch()
        notes.touch()
        command = (sys.executable, "-I", str(DEALT), str(deck), str(notes), f"--workers={workers}")
        with Running(Contender(name, command)) as server:
            yield Dealer(server, Path(folder))
