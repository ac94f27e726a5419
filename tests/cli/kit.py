"""The command as a process of its own: started, read from, and never left behind."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.cli.forked import Forked
from tests.support.children import children, children_of, has_ended
from tests.support.deadlines import ENDING, EXCHANGE, HANG, Deadline, DeadlinePassed

HERE = Path(__file__).parent


def environment(modules: Path, **variables: str) -> dict[str, str]:
    """What the command finds around it: the packages in `modules`, and nothing of the caller's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFORK_")}
    kept.update({"PYTHONPATH": str(modules), "COLUMNS": "100"}, **variables)
    kept.pop("PYTHONSAFEPATH", None)
    return kept


def reap_orphans_since(before: set[int]) -> None:
    """Reap what has become a child of this process and ends by itself, as anything does whose work
    is gone; each of these may leave orphans of its own."""
    running: set[int] = set()
    while orphans := children() - before - running:
        for orphan in orphans:
            if not has_ended(orphan, EXCHANGE):
                running.add(orphan)
                continue
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan, 0)


class Finished(NamedTuple):
    """What a run of the command has come to."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Its output without the ends of lines."""
        return " ".join(self.out.split())


def interpreter(
    arguments: Sequence[str], folder: Path, environment: dict[str, str], inherited: Sequence[int]
) -> subprocess.Popen[bytes]:
    """Start `python -m prefork` with these arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "prefork", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=inherited,
        process_group=0,
    )


class Program:
    """One run of the command, in a process group of its own."""

    def __init__(
        self,
        start: Callable[..., subprocess.Popen[bytes] | Forked],
        arguments: Sequence[object],
        *surroundings: Any,
    ) -> None:
        """`start` is `interpreter` or `Forked`, and takes the surroundings too."""
        self._before = children()
        self.process = start([str(argument) for argument in arguments], *surroundings)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._streams = {"out": self.process.stdout, "err": self.process.stderr}
        self._heard = {"out": b"", "err": b""}
        for stream in self._streams.values():
            os.set_blocking(stream.fileno(), False)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        self._listen(0)
        return self._heard["out"].decode()

    @property
    def err(self) -> str:
        self._listen(0)
        return self._heard["err"].decode()

    def wait_for(self, pattern: str, stream: str = "err", seconds: float = HANG) -> re.Match[str]:
        """Wait until standard error (or `out`) matches this."""
        deadline = Deadline(seconds)
        while not (found := re.search(pattern, self._heard[stream].decode())):
            ended = self.process.poll() is not None
            self._listen(0 if ended else min(deadline.remaining(), 0.05))
            if ended or deadline.passed:
                if found := re.search(pattern, self._heard[stream].decode()):
                    break
                raise DeadlinePassed(f"waiting for {pattern!r}; heard {self._heard}")
        return found

    def address(self, scheme: str = "tcp") -> tuple[str, int]:
        """Where it serves, once it does."""
        found = self.wait_for(rf"Serving \S+ on {scheme}://\[?([^\]\s]+?)\]?:(\d+) with")
        return found[1], int(found[2])

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def exit_code(self, seconds: float = ENDING) -> int:
        """Wait for its exit, and read its output until then."""
        deadline = Deadline(seconds)
        while (code := self.process.poll()) is None:
            self._listen(min(0.05, deadline.demand(f"the command to end; heard {self._heard}")))
        self._listen(0)
        return code

    def dispose(self) -> None:
        if self.process.poll() is None:
            # Stopped first: it may be about to fork one more.
            self.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            workers = children_of(self.pid)
            self.process.kill()
            self.process.wait()
            for pid in workers:
                if not has_ended(pid, EXCHANGE):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):  # collected by its master just before
                    os.waitpid(pid, 0)
        for stream in self._streams.values():
            stream.close()
        reap_orphans_since(self._before | {self.pid})

    def _listen(self, seconds: float) -> None:
        streams = {name: s for name, s in self._streams.items() if not s.closed}
        select.select(list(streams.values()), [], [], seconds)
        for name, stream in streams.items():
            while True:
                try:
                    data = os.read(stream.fileno(), 65536)
                except BlockingIOError:
                    break
                if not data:
                    stream.close()
                    break
                self._heard[name] += data
