"""The command in a fork of this process, which saves the start of an interpreter.

Not for what only an interpreter of its own has: its command line, standard streams that are closed,
an untouched `sys.modules`.
"""

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

from prefork.cli import main


class Forked:
    """What `subprocess.Popen` would be for it."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: dict[str, str],
        inherited: Sequence[int],
    ) -> None:
        (out, out_of_it), (err, err_of_it) = os.pipe(), os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            _run(arguments, folder, environment, (out_of_it, err_of_it), inherited)
        with contextlib.suppress(OSError):  # it has done so itself, or has ended
            os.setpgid(self.pid, self.pid)
        os.close(out_of_it)
        os.close(err_of_it)
        self.stdout, self.stderr = open(out, "rb", 0), open(err, "rb", 0)  # noqa: SIM115

    def poll(self) -> int | None:
        return self._collect(os.WNOHANG)

    def wait(self) -> int | None:
        return self._collect(0)

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _collect(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _run(
    arguments: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    output: tuple[int, int],
    inherited: Sequence[int],
) -> None:
    """Run the command in this forked process, and exit with its code."""
    code = 1
    try:
        os.setpgid(0, 0)
        _replace_streams(*output)
        _close_others(inherited)
        _forget_pytest()
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        code = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # nothing may propagate from here into the test runner
        traceback.print_exc()
    finally:
        os._exit(code)


def _replace_streams(out: int, err: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, source in enumerate((nothing, out, err)):
        os.dup2(source, descriptor)
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # type: ignore[misc] # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", 1, closefd=False)  # type: ignore[misc] # noqa: SIM115


def _close_others(kept: Sequence[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if (descriptor := int(name)) > 2 and descriptor not in kept:
            with contextlib.suppress(OSError):  # the one with which the directory was read
                os.close(descriptor)


def _forget_pytest() -> None:
    faulthandler.disable()  # its file is closed
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    warnings.resetwarnings()
    sys.excepthook = sys.__excepthook__
    sys.unraisablehook = sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__
