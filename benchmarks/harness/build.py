"""Builds a C program when its source is newer than the last build."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmarks.harness.paths import C_SOURCES, PROGRAMS

FLAGS = ("-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE")
LIBRARIES = ("-lm",)
DEADLINE = 60.0


class BuildError(RuntimeError):
    """A C program could not be built; the message contains the compiler's output."""


def program(name: str) -> Path:
    """Return the program built from the files in `c/NAME`; the compiler is `$CC`, or `cc`.

    Errors: `BuildError`.
    """
    folder, built = C_SOURCES / name, PROGRAMS / name
    newest = max(file.stat().st_mtime for file in folder.iterdir())
    if built.exists() and built.stat().st_mtime >= newest:
        return built
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    # Built under another name, so that a concurrent run never sees half a program.
    fresh = built.with_suffix(f".{os.getpid()}")
    sources = map(str, sorted(folder.glob("*.c")))
    command = [os.environ.get("CC", "cc"), *FLAGS, "-o", str(fresh), *sources, *LIBRARIES]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    except FileNotFoundError:
        raise BuildError(
            f"The C compiler {command[0]!r} was not found. Install one, or set CC."
        ) from None
    if done.returncode:
        raise BuildError(f"The C program {name!r} could not be built:\n{done.stderr}")
    fresh.rename(built)
    return built
