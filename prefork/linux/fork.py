"""Forks a child of this process, or a child of the nearest subreaper."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
from collections.abc import Callable

from prefork.linux.signal_mask import Mask, restore_mask, signals_blocked
from prefork.linux.stray_children import named_as_forking
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
    """Fork a process that runs `child()` and exits with the status that it returns.

    If `child()` returns a function, that function is called next, and so on (`ProcessMain`).
    `adopt(pid)` records the child in this process; `prepare()` is the first thing that runs in the
    child.

    The child never returns from this function: it does not run the caller's `finally` blocks or
    `atexit` functions. Buffered text of standard output and standard error is flushed before the
    fork, so that it cannot appear twice.

    No signal is delivered before `adopt()` has returned in this process and `prepare()` in the
    child. Otherwise a KeyboardInterrupt could leave a child that is not recorded, or end a child
    that is about to reset the caller's signal handlers.

    Errors: `OSError` when no process can be forked (fork(2): EAGAIN, ENOMEM).
    """
    flush_standard_streams()
    with signals_blocked() as mask:
        pid = system.fork()
        if pid == 0:
            _live(child, prepare, mask, system)
        adopt(pid)


def double_fork(prepare: Callable[[], None], system: System = SYSTEM) -> bool:
    """Fork a process that becomes a child of the nearest subreaper; return whether this is it.

    This process forks one that forks the new process and ends at once. The nearest ancestor
    that is a subreaper then becomes the parent of the new one (prctl(2), PR_SET_CHILD_SUBREAPER).
    This has happened when the new process calls `prepare()`; no signal is delivered to it before
    that.

    The new process returns from this function, too. It must return its main function to the bottom
    of its stack: see `ProcessMain`.

    If any of the three processes is killed during the fork, the ancestor can find the others: see
    `stray_children`.

    Errors: `OSError` when no process can be forked (fork(2): EAGAIN, ENOMEM), or EINTR when the
    intermediate process was killed; the new one may exist nevertheless.
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
    """Fork and exit; only the new process returns, once this one (`between`) has exited."""
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
    except OSError:  # ESRCH: it has exited. EMFILE: it will exit before the subreaper looks.
        return
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.poll()
    system.close(ended)


def _status_of(pid: int) -> int:
    """Wait for a child that is about to exit, and return its exit status.

    That is its exit code, minus the number of the signal that killed it, or 0 if the child was
    reaped elsewhere.
    """
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
        import traceback  # loaded late: only a bug needs it

        traceback.print_exc()  # a bug in this package: child() reports all exceptions of programs
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
