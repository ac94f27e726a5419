"""The pipe in which workers report the requests that were handed to them and are served."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

_PID = struct.Struct("=I")
_READ_SIZE = 4096 * _PID.size


class Completions:
    """One pipe for all workers; the master reads all pending reports with one call.

    A report is the worker's pid, written atomically (pipe(7), PIPE_BUF). Only the master keeps the
    read end open, so a worker that outlives the master gets EPIPE.
    """

    _read_end = _write_end = -1

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read_end, False)

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are reports, -1 once it is closed."""
        return self._read_end

    def reports(self) -> Iterator[tuple[int]]:
        """Return the pids in the reports since the last call, each in a tuple."""
        try:
            return _PID.iter_unpack(os.read(self._read_end, _READ_SIZE))
        except BlockingIOError:
            return iter(())
        except OSError:
            if self._read_end >= 0:
                raise
            return iter(())  # closed, possibly by another thread

    def report(self, pid: int) -> None:
        """Report, from a worker, that one request is served; wait while the pipe is full.

        Errors: `BrokenPipeError` when the master has exited.
        """
        os.write(self._write_end, _PID.pack(pid))

    def close_in_child(self) -> None:
        """Close the master's end in a worker."""
        # Cleared before it is closed: otherwise a child that another thread forks in between would
        # close another descriptor with this number.
        fd, self._read_end = self._read_end, -1
        if fd >= 0:
            os.close(fd)

    def close(self) -> None:
        self.close_in_child()
        fd, self._write_end = self._write_end, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()  # a server may be garbage-collected while workers run
