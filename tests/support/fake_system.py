"""A scripted operating system, and a server that is only a listener.

Forked "workers" are numbers; the test scripts their messages and their ends. The descriptors are
real (an eventfd replaces each pidfd), so the master's own selectors run unchanged.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import pytest

from prefork.linux.syscalls import System
from prefork.master.master import Master
from prefork.settings import Settings
from prefork.workers.in_flight import InFlight
from prefork.workers.protocol.channel import Channel
from prefork.workers.protocol.messages import Kind, Message, PackedRequest
from prefork.workers.protocol.scoreboard import _WORK, State
from prefork.workers.server_in_worker import Listener, Taker


class FakeSystem(System):
    """Time moves only when the test moves it, and processes end only when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.forked: list[int] = []
        self.fork_error: OSError | None = None
        self.signals: list[tuple[int, int]] = []
        self.stolen: set[int] = set()
        self._pidfds: dict[int, int] = {}
        self._statuses: dict[int, int] = {}

    def fork(self) -> int:
        if self.fork_error is not None:
            raise self.fork_error
        pid = 1001 + len(self.forked)
        self.forked.append(pid)
        return pid

    def exit(self, status: int) -> NoReturn:
        raise AssertionError("no fake process runs")

    def threads(self) -> int:
        return 1

    def pidfd_open(self, pid: int) -> int:
        fd = os.eventfd(0, os.EFD_CLOEXEC)
        self._pidfds[fd] = pid
        return fd

    def wait(self, pidfd: int) -> os.waitid_result | None:
        pid = self._pidfds[pidfd]
        if pid in self.stolen:
            raise ChildProcessError
        if pid not in self._statuses:
            return None
        status = self._statuses[pid]
        code = os.CLD_EXITED if status >= 0 else os.CLD_KILLED
        return os.waitid_result((pid, 0, signal.SIGCHLD, abs(status), code))

    def send_signal(self, pidfd: int, signo: int) -> None:
        self.signals.append((self._pidfds[pidfd], signo))

    def close(self, fd: int) -> None:
        self._pidfds.pop(fd, None)
        os.close(fd)

    def clock(self) -> float:
        return self.now

    def die(self, pid: int, status: int) -> None:
        """End a process with an exit code, or with minus the number of a signal."""
        self._statuses[pid] = status
        for fd, owner in self._pidfds.items():
            if owner == pid:
                os.eventfd_write(fd, 1)


class FakeServer:
    """A server with a listener and settings, and nothing else."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.workers: set[int] = set()
        self.most = 2
        self.set = Settings()
        self.stopped = False

    def listener_blocks(self) -> bool:
        return os.get_blocking(self.listener.fileno())

    def settings(self) -> Settings:
        return self.set

    def max_children(self) -> int:
        return self.most

    def backlog(self) -> int:
        return 5

    def threads(self) -> int | None:
        return None

    def daemon_threads(self) -> bool:
        return False

    def pack(self, request: Any, client_address: Any) -> PackedRequest | None:
        return None

    def close_in_child(self) -> None: ...

    def workers_changed(self, pids: set[int]) -> None:
        self.workers = pids

    def serves_forever(self) -> bool:
        return True

    def stop(self) -> None:
        self.stopped = True

    def listeners(self) -> Sequence[Listener]:
        return (self,)

    def fileno(self) -> int:
        return self.listener.fileno()

    def enter(self, in_flight: InFlight | None, ask_stop: Callable[[], object]) -> None: ...

    def close_foreign_listeners(self) -> None: ...

    def started(self) -> None: ...

    def promoted(self) -> None: ...

    def leaving(self) -> None: ...

    def take_from(self, listener: int) -> None: ...

    def taker(self) -> Taker:
        raise AssertionError("no fake process runs")

    def takes_at_once(self) -> bool:
        return True

    def tries_cheaply(self) -> bool:
        return False

    def serve(self, request: Any, client_address: Any) -> None: ...

    def unpack(self, packed: bytes, fd: int | None) -> tuple[Any, Any]:
        raise AssertionError("no fake process runs")

    def serve_verified(self, request: Any, client_address: Any) -> None: ...

    def release_listener(self) -> None: ...

    def serve_one(self, request: Any, client_address: Any, whole: bool) -> int:
        return 0

    def drop(self, request: Any) -> None: ...

    def stop_asked(self) -> bool:
        return False


class FakePool:
    """A master on a fake system; the test acts on behalf of all its workers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cores: int = 8) -> None:
        self.system = FakeSystem()
        self.server = FakeServer()
        self.master = Master(self.server, self.system, cores)
        self._ends: list[Channel] = []
        self._ready: set[int] = set()
        make_pair = Channel.pair

        def pair() -> tuple[Channel, Channel]:
            """Keep a copy of the worker's end: in reality, the forked worker has one."""
            masters_end, workers_end = make_pair()
            copy = socket.socket(fileno=os.dup(workers_end.fileno()))
            self._ends.append(Channel(copy))
            return masters_end, workers_end

        monkeypatch.setattr("prefork.master.children.Channel.pair", pair)

    def start(self, *, ready: bool = True) -> None:
        self.master.start()
        self.tick()
        if ready:
            self.all_ready()

    def tick(self, seconds: float = 0.0) -> None:
        self.system.now += seconds
        self.master.tick()

    def say(self, pid: int, message: Message) -> None:
        self._end_of(pid).send(message)

    def all_ready(self) -> None:
        """Make every starting worker report that it is ready."""
        for worker in self.master.status():
            if worker.pid not in self._ready:
                self._ready.add(worker.pid)
                self.say(worker.pid, Message(Kind.READY))
        self.tick()

    def shows(self, pid: int, state: State, *, busy: float = 0.0, served: int = 0) -> None:
        """Write to the worker's slot of the scoreboard what it does now, and what it has done."""
        (slot,) = (worker.slot for worker in self.master.status() if worker.pid == pid)
        place = self.master._children.scoreboard.slot(slot)
        words = int(self.system.now * 1e9), served, int(busy * 1e9), int(state is State.BUSY)
        _WORK.pack_into(place._memory, place._at, state, *words)

    def all_show(self, state: State) -> None:
        for pid in self.server.workers:
            self.shows(pid, state)

    def received_by(self, pid: int) -> Message | None:
        return self._end_of(pid).receive()

    def dies(self, pid: int, status: int) -> None:
        """End the worker, and close its end of the channel."""
        self._end_of(pid).close()
        self.system.die(pid, status)
        self.tick()

    def states(self) -> list[str]:
        return [status.state for status in self.master.status()]

    def close(self) -> None:
        """End all workers and close the master."""
        self.system.fork_error = OSError("the test has ended")
        self.master.begin_drain()
        for pid in list(self.server.workers):
            self.system.stolen.add(pid)
            self.system.die(pid, 0)
        self.master.collect()
        self.master.close()
        for end in self._ends:
            end.close()
        self.server.listener.close()

    def _end_of(self, pid: int) -> Channel:
        return self._ends[self.system.forked.index(pid)]


MakePool = Callable[..., FakePool]
