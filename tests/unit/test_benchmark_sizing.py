"""The figures in the journal of a sizing server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("hdrh", reason="the benchmarks' libraries are not installed")

from benchmarks.measurements.sizing import SizeJournal

NOTES = [
    {"at": 1.0, "size": 1},
    {
        "at": 2.0,
        "event": "scaled",
        "log": "Scaling from 1 to 4 workers: all are busy.",
    },
    {"at": 2.1, "size": 2},
    {"at": 2.3, "size": 4},
    {
        "at": 3.0,
        "event": "saturated",
        "log": "Staying at 4 workers: the CPU is saturated.",
    },
    {
        "at": 9.0,
        "event": "scaled",
        "log": "Scaling from 4 to 1 worker: most are idle.",
    },
    {"at": 9.1, "retired": "IDLE"},
    {"at": 9.2, "size": 1},
]


def test_a_journal_is_read_from_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    file.write_text("".join(json.dumps(note) + "\n" for note in NOTES))
    journal = SizeJournal.read(file)
    assert journal.largest == 4
    assert journal.retired == ["IDLE"]
    assert journal.decisions(0.0, 9.5) == 2
    assert journal.decisions(2.5, 9.5) == 1
    assert journal.times_saturated == 1
    assert round(journal.seconds_to(4, 2.0), 3) == 0.3
    assert round(journal.seconds_to(1, 2.0), 3) == 7.2
    assert journal.seconds_to(8, 0.0) == float("inf")
