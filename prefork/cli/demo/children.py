"""Child processes of the demo, which never outlive it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

PATIENCE = 5.0
"""Seconds that a child has to end once its standard input has."""

BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from {} import main; main()"


@contextlib.contextmanager
def child(module: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run `main()` of a module in a new interpreter that finds the same modules as this one.

    Each watches its standard input, whose end is the order to leave; so it also leaves when this
    process is killed. It is in a group of its own: Ctrl-C is this process's business.
    """
    command = [sys.executable, "-c", BOOT.format(module), json.dumps(sys.path)]
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        try:
            process.wait(PATIENCE)
        except BaseException:
            process.kill()
            process.wait()
            raise
