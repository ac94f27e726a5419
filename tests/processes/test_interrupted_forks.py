"""Double forks that are interrupted: any of the three processes is killed, at any point.

Afterwards the master has no zombie and no child that it does not know, and no process is left that
serves nothing. The master reaps no child of the program.
"""

import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from prefork.linux import fork
from prefork.linux.syscalls import System
from prefork.master import fork_server
from prefork.master.origins import mold_promotion
from prefork.master.origins.mold_promotion import MoldPromotion
from prefork.policies import promotion
from prefork.socketserver.pool.mixin import master_of
from tests.support.announcements import Gate, Told
from tests.support.children import (
    Child,
    children,
    children_of,
    fork_and_run,
    has_ended,
    peek_exit_code,
    state_of,
)
from tests.support.clients import connections
from tests.support.deadlines import Call, within
from tests.support.molds import reforking_pool, wait_until_renewed
from tests.support.polling import eventually
from tests.support.pools import Handler, answer, answer_pid, idle_workers, pool_of, waiting_clients
from tests.support.programs import fork_servers_among
from tests.support.serving import start_serving
from tests.support.subreaper import adopts_orphans, set_adopting_orphans

WORKERS = 2
WARM = 5


class Trap:
    """Once set, holds the next process that reaches a point of a double fork."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, told: Told, gate: Gate, point: str) -> None:
        self._told = told
        self._gate = gate
        self._is_set = os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
        self.fork_server = self.intermediate = self.child = 0
        """The pids of the processes that take part, once the trap is `sprung`."""

        def holding(call: Callable[..., Any]) -> Callable[..., Any]:
            def held(*arguments: Any) -> Any:
                self._spring()
                return call(*arguments)

            return held

        owner, name = {
            "before the second fork": (fork, "_fork_and_end"),
            "after the second fork": (System, "exit"),
            "before the first is reaped": (fork, "_status_of"),
        }[point]
        self._is_intermediate = name != "_status_of"
        monkeypatch.setattr(owner, name, holding(getattr(owner, name)))

    def _spring(self) -> None:
        try:
            os.eventfd_read(self._is_set)
        except BlockingIOError:
            return
        self._told.say("held", os.getpid(), os.getppid())
        self._gate.wait()

    def set(self) -> None:
        os.eventfd_write(self._is_set, 1)

    @property
    def sprung(self) -> bool:
        for line in self._told.so_far():
            held, parent = map(int, line.split()[1:])
            self.fork_server, self.intermediate = (
                (parent, held) if self._is_intermediate else (held, 0)
            )
            self.child = next(iter(children_of(self.intermediate)), 0)
        return bool(self.fork_server)

    def pid_of(self, part: str) -> int:
        return {
            "fork_server": self.fork_server,
            "intermediate": self.intermediate,
            "child": self.child,
        }[part]

    def kill(self, part: str) -> None:
        with contextlib.suppress(ProcessLookupError):  # the master may have killed it already
            os.kill(self.pid_of(part), signal.SIGKILL)

    def close(self) -> None:
        os.close(self._is_set)


@pytest.fixture
def trap_at(monkeypatch: pytest.MonkeyPatch, told: Told, gate: Gate) -> Iterator[Any]:
    traps = []

    def make(point: str) -> Trap:
        traps.append(Trap(monkeypatch, told, gate, point))
        return traps[-1]

    yield make
    for trap in traps:
        trap.close()


@pytest.fixture(autouse=True)
def one_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first mold is forked at once, and no other one during the test."""
    monkeypatch.setattr(promotion, "LOOK_INTERVAL", 0.01)
    monkeypatch.setattr(promotion, "BACK_OFF", 1000.0)


@pytest.fixture
def own_child() -> Iterator[Child]:
    """A child of the program that has ended and that the program has yet to reap."""
    child = Child(fork_and_run(lambda: os._exit(7)))
    peek_exit_code(child.pid)
    yield child
    child.dispose()


def spring(server: Any, trap: Trap, fork_kind: str) -> None:
    """Start a double fork and wait until a process is in the trap."""
    if fork_kind == "by the mold":
        wait_until_renewed(server)
    idle_workers(server, WORKERS)
    trap.set()
    if fork_kind != "of the mold":
        os.kill(min(server.active_children), signal.SIGKILL)
        eventually(lambda: trap.sprung, what="a fork")
    else:  # a client that the held worker has been woken for waits until that worker returns
        with connections(server.server_address, WORKERS * WARM):
            eventually(lambda: trap.sprung, what="a fork")


def pool_that_forks(fork_kind: str) -> Any:
    if fork_kind == "by the fork_server":
        return pool_of(answer_pid, workers=WORKERS)
    return reforking_pool(answer_pid, after=WARM, workers=WORKERS)


def wait_until_nothing_else_is_left(server: Any, own: Child) -> None:
    """Wait until every child is a worker that the master knows, a fork server, or *own*."""

    def unknown_children() -> list[tuple[int, str]]:
        others = children() - server.active_children - {own.pid}
        return [(pid, state_of(pid)) for pid in others - fork_servers_among(others)]

    idle_workers(server, WORKERS)
    eventually(lambda: not unknown_children(), what=f"end of {unknown_children()}")


FORKS = ["by the fork_server", "by the mold", "of the mold"]
INTERRUPTIONS = [
    ("before the second fork", ["fork_server"]),
    ("before the second fork", ["intermediate"]),
    ("before the second fork", ["fork_server", "intermediate"]),
    ("before the second fork", ["intermediate", "fork_server"]),
    ("after the second fork", ["fork_server"]),
    ("after the second fork", ["intermediate"]),
    ("after the second fork", ["child"]),
    ("after the second fork", ["fork_server", "intermediate"]),
    ("after the second fork", ["fork_server", "child"]),
    ("after the second fork", ["intermediate", "child"]),
    ("after the second fork", ["child", "intermediate", "fork_server"]),
    ("before the first is reaped", ["fork_server"]),
]


@pytest.mark.parametrize("fork_kind", FORKS)
@pytest.mark.parametrize(
    ("point", "killed"), INTERRUPTIONS, ids=[f"{p}-{' '.join(k)}" for p, k in INTERRUPTIONS]
)
def test_killing_any_process_of_a_double_fork_leaves_no_process(
    fork_kind: str,
    point: str,
    killed: list[str],
    trap_at: Callable[[str], Trap],
    gate: Gate,
    running: Any,
    errors: Any,
    own_child: Child,
) -> None:
    """An intermediate process that was killed used to stay as a zombie of the master."""
    trap = trap_at(point)
    with running(pool_that_forks(fork_kind)) as server:
        spring(server, trap, fork_kind)
        for part in killed:
            trap.kill(part)
            assert has_ended(trap.pid_of(part))
        gate.open()
        wait_until_nothing_else_is_left(server, own_child)
        assert own_child.exit_code() == 7
    errors()


@pytest.mark.parametrize("killed", [[], ["fork_server"]], ids=["stuck", "fork_server killed"])
@pytest.mark.parametrize("point", ["before the second fork", "after the second fork"])
@pytest.mark.parametrize("fork_kind", FORKS)
def test_a_process_that_holds_up_a_double_fork_is_killed(
    fork_kind: str,
    point: str,
    killed: list[str],
    trap_at: Callable[[str], Trap],
    running: Any,
    errors: Any,
    monkeypatch: pytest.MonkeyPatch,
    own_child: Child,
) -> None:
    """The gate stays closed, so the intermediate process never ends by itself."""
    trap = trap_at(point)
    with running(pool_that_forks(fork_kind)) as server:
        if fork_kind == "by the mold":
            wait_until_renewed(server)
        idle_workers(server, WORKERS)
        monkeypatch.setattr(fork_server, "FORK_TIMEOUT", 0.3)
        monkeypatch.setattr(mold_promotion, "FORK_TIMEOUT", 0.3)
        if fork_kind == "of the mold":
            server.prefork_settings = dataclasses.replace(
                server.prefork_settings, start_timeout=0.3
            )
        spring(server, trap, fork_kind)
        for part in killed:
            trap.kill(part)
        eventually(lambda: not state_of(trap.intermediate), what="end of the intermediate process")
        wait_until_nothing_else_is_left(server, own_child)
        assert own_child.exit_code() == 7
    errors()


@pytest.mark.parametrize("point", ["before the second fork", "after the second fork"])
def test_a_server_that_stops_while_a_mold_is_forked_leaves_no_process(
    point: str,
    trap_at: Callable[[str], Trap],
    told: Told,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The master waits for the mold that it no longer needs, however long its fork takes."""
    end = MoldPromotion.end

    def announced_end(self: MoldPromotion, *arguments: Any) -> None:
        told.say("ending")
        end(self, *arguments)

    monkeypatch.setattr(MoldPromotion, "end", announced_end)
    trap = trap_at(point)
    server = pool_that_forks("of the mold")
    thread = start_serving(server)
    spring(server, trap, "of the mold")
    stopping = Call(server.shutdown)
    told.wait_for(b"ending")
    gate.open()
    stopping.result()
    thread.wait_until_it_ended()
    within(server.server_close)
    assert children() == set()


def test_a_worker_forks_no_mold_for_a_master_that_has_given_up(
    trap_at: Callable[[str], Trap], held: Handler, told: Told, gate: Gate
) -> None:
    """The worker was busy when the order came, and checks before it obeys."""
    trap = trap_at("before the second fork")
    server = reforking_pool(held, after=1000, workers=1)
    thread = start_serving(server)
    with waiting_clients(server.server_address, 2) as clients:
        told.wait_for(b"entered")
        gate.let_through()
        assert answer(clients[0]) == b"served 0"
        told.wait_for(b"entered")
        order_the_busy_worker_to_fork(server)
        trap.set()
        thread.shut_down()
        gate.open()
        assert answer(clients[1]) == b"served 1"
    within(server.server_close)
    assert not trap.sprung
    assert children() == set()


def test_a_master_adopts_no_orphans_while_it_waits_for_a_busy_worker(
    running: Any, told: Told, gate: Gate
) -> None:
    """Orphans of processes that handlers start would become its children, and stay zombies."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered")
        gate.wait()

    # Set before the server runs: it restores the value that it finds when it forks a worker.
    set_adopting_orphans(0)
    try:
        with (
            running(reforking_pool(handler, after=1000, workers=1)) as server,
            connections(server.server_address, 2),
        ):
            told.wait_for(b"entered")
            gate.let_through()
            told.wait_for(b"entered")
            order_the_busy_worker_to_fork(server)
            assert not adopts_orphans()
    finally:
        set_adopting_orphans(1)


def order_the_busy_worker_to_fork(server: Any) -> None:
    """Have the master send the order, which the worker reads when its request is done."""
    server.prefork_settings = dataclasses.replace(server.prefork_settings, refork_after=1)
    master: Any = master_of(server)
    origin = master._origin
    eventually(lambda: origin._promotion is not None, what="an order to a busy worker")
