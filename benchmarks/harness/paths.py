"""The paths of the parts of the benchmarks in the checkout."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
C_SOURCES = ROOT / "benchmarks" / "c"
PEERS = ROOT / "benchmarks" / "peers"
SERVERS = ROOT / "benchmarks" / "servers"
RESULTS = ROOT / "benchmarks" / "results"
PROGRAMS = ROOT / "build" / "benchmarks"
"""The folder of the built C programs; git ignores it."""
