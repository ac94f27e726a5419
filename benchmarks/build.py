"""Builds the C programs, into a folder that git ignores, when their source is newer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "benchmarks" / "c"
PROGRAMS = ROOT / "build" / "benchmarks"
FLAGS = ("-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE")
LIBRARIES = ("-lm",)
DEADLINE = 60.0


class BuildError(RuntimeError):
    """A C program could not be built; the message is the compiler's."""


def program(name: str) -> Path:
    """The program built from the files in the folder `c/NAME`, with `$CC` or `cc`."""
    folder, built = SOURCES / name, PROGRAMS / name
    newest = max(file.stat().st_mtime for file in folder.iterdir())
    if built.exists() and built.stat().st_mtime >= newest:
        return built
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    fresh = built.with_suffix(f".{os.getpid()}")
    sources = map(str, sorted(folder.glob("*.c")))
    command = [os.environ.get("CC", "cc"), *FLAGS, "-o", str(fresh), *sources, *LIBRARIES]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    except FileNotFoundError:
        raise BuildError(f"There is no C compiler {command[0]!r}; set CC to one.") from None
    if done.returncode:
        raise BuildError(f"{name} could not be built:\n{done.stderr}")
    fresh.rename(built)
    return built
