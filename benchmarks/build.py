"""Builds the C programs, into a folder that git ignores, when their source is newer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "benchmarks" / "c"
PROGRAMS = ROOT / "build" / "benchmarks"
FLAGS = ("-O2", "-Wall", "-Wextra")
DEADLINE = 60.0


class BuildError(RuntimeError):
    """A C program could not be built; the message is the compiler's."""


def program(name: str) -> Path:
    """The program built from `c/NAME.c`, with `$CC` or `cc`."""
    source, built = SOURCES / f"{name}.c", PROGRAMS / name
    if built.exists() and built.stat().st_mtime >= source.stat().st_mtime:
        return built
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    fresh = built.with_suffix(f".{os.getpid()}")
    command = [os.environ.get("CC", "cc"), *FLAGS, "-o", str(fresh), str(source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    except FileNotFoundError:
        raise BuildError(f"There is no C compiler {command[0]!r}; set CC to one.") from None
    if done.returncode:
        raise BuildError(f"{source.name} could not be built:\n{done.stderr}")
    fresh.rename(built)
    return built
