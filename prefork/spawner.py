"""The only fork in the project."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from prefork.signals import Mask, held_back, let_through
from prefork.system import SYSTEM, System


def spawn(
    child: Callable[[], int],
    adopt: Callable[[int], None],
    prepare: Callable[[], None] = lambda: None,
    system: System = SYSTEM,
) -> None:
    """Fork a process that runs `child()` and exits with the status it returns.

    `adopt(pid)` enters it in the books of the caller; `prepare()` is the new process's first act.

    The new process never returns from here, whatever happens in it: no `finally` of the caller's,
    no `atexit`, no traceback. Text that the caller had buffered on standard output and error is
    flushed first, so that it cannot appear twice.

    No signal is delivered before `adopt()` has returned here, and `prepare()` there: a
    KeyboardInterrupt in between would leave a child that nobody knows, or end a newborn that is
    about to put the caller's signal handlers away.

    Errors: `OSError` when there can be no more processes (fork(2): EAGAIN, ENOMEM).
    """
    flush_standard_streams()
    with held_back() as mask:
        pid = system.fork()
        if pid == 0:
            _live(child, prepare, mask, system)
        adopt(pid)


def _live(
    child: Callable[[], int],
    prepare: Callable[[], None],
    mask: Mask,
    system: System,
) -> NoReturn:
    status = 1
    try:
        prepare()
        let_through(mask)
        status = child()
    except Exception:
        traceback.print_exc()  # a bug of ours: whatever a program does is answered for in child()
    finally:
        try:
            flush_standard_streams()
        finally:
            system.exit(status)


def flush_standard_streams() -> None:
    """Write out what `print` has buffered; a stream that is closed or broken is skipped."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
