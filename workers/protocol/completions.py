"""The pipe into which the workers of a pool say that a request which they were handed is served."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

_PID = struct.Struct("=I")
_READ_SIZE = 4096 * _PID.size


class Completions:
    """One pipe for all: the master hears with one call of whatever is done by then.

    A worker says no more than its pid, which is never torn (pipe(7), PIPE_BUF). Only the master
    keeps the end for reading, so a worker that has outlived it is told so.
    """

    _to_hear = _to_say = -1

    def __init__(self) -> None:
        self._to_hear, self._to_say = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._to_hear, False)

    def fileno(self) -> int:
        """The descriptor that is readable when somebody has said something; -1 once closed."""
        return self._to_hear

    def heard(self) -> Iterator[tuple[int]]:
        """The pids, each in a tuple, of those who have said so since the last time."""
        try:
            return _PID.iter_unpack(os.read(self._to_hear, _READ_SIZE))
        except BlockingIOError:
            return iter(())
        except OSError:
            if self._to_hear >= 0:
                raise
            return iter(())  # closed, by another thread perhaps

    def say(self, pid: int) -> None:
        """In a worker: one request is done; waits while the pipe is full.

        Errors: `BrokenPipeError` when the master is gone.
        """
        os.write(self._to_say, _PID.pack(pid))

    def close_in_child(self) -> None:
        """In a worker: drop the end that is the master's."""
        # Forgotten first: a child that another thread forks now closes what is not.
        fd, self._to_hear = self._to_hear, -1
        if fd >= 0:
            os.close(fd)

    def close(self) -> None:
        self.close_in_child()
        fd, self._to_say = self._to_say, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()  # a server may be dropped while workers run
