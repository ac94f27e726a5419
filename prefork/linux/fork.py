"""Every fork of the project: of a child, and of a process that is to be the master's child."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
from collections.abc import Callable

from prefork.linux.signal_mask import Mask, restore_mask, signals_blocked
from prefork.linux.strays import named_as_forking
from prefork.linux.syscalls import SYSTEM, System
from prefork.workers.protocol.exit_codes import ProcessMain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def fork_child(
    child: ProcessMain,
    adopt: Callable[[int], None],
    prepare: Callable[[], None] = lambda: None,
    system: System = SYSTEM,
) -> None:
    """Fork a process that runs `child()`, or what that gives, and exits with the status it returns.

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
    with signals_blocked() as mask:
        pid = system.fork()
        if pid == 0:
            _live(child, prepare, mask, system)
        adopt(pid)


def double_fork(prepare: Callable[[], None], system: System = SYSTEM) -> bool:
    """Fork a process that becomes the child of another one above; whether this is it.

    It is forked twice, and the process in between ends at once: the new one then belongs to the
    nearest ancestor that takes in orphans (prctl(2), PR_SET_CHILD_SUBREAPER). That has happened
    when it runs `prepare()`, its first act, before any signal is delivered there.

    The new process returns from here, too. It has to give up whatever it finds itself in, and to
    return what it will live from now on to the bottom of its stack: see `ProcessMain`.

    Whichever of the three is killed in here, the ancestor can tell the others: see `strays`.

    Errors: `OSError` when there can be no more processes (fork(2): EAGAIN, ENOMEM), or EINTR when
    the one in between was killed; the new one may be there all the same.
    """
    flush_standard_streams()
    with signals_blocked(), named_as_forking():
        between = system.fork()
        if between:
            status = _status_of(between)
            if error := status if status >= 0 else errno.EINTR:
                raise OSError(error, os.strerror(error))
            return False
        _fork_and_end(os.getpid(), system)
        prepare()
        return True


def _fork_and_end(between: int, system: System) -> None:
    """Fork, and end; only the new process returns, once this one, `between`, has ended."""
    status: int | None = 1
    try:
        status = 0 if system.fork() else None
    except OSError as error:
        status = error.errno or 1
    finally:
        if status is not None:
            system.exit(status)
    try:
        ended = system.pidfd_open(between)
    except OSError:  # ESRCH: it has. EMFILE: it will have before anybody asks.
        return
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.poll()
    system.close(ended)


def _status_of(pid: int) -> int:
    """Wait for a child that is about to end: its exit code, or minus the signal that killed it; 0
    if somebody else has taken it."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status)


def _live(
    child: ProcessMain,
    prepare: Callable[[], None],
    mask: Mask,
    system: System,
) -> NoReturn:
    status = 1
    try:
        prepare()
        restore_mask(mask)
        outcome = child()
        while callable(outcome):
            outcome = outcome()
        status = outcome
    except Exception:
        import traceback  # only a bug needs it

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
