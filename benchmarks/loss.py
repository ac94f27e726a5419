"""Who is lost, with `reuseport`, of those who wait at the listener of a worker that goes.

Each worker has a listener of its own, and the kernel has put the waiting clients into their queues
already. All workers are busy behind a gate, so those who wait are counted before anything happens.
Then one worker is killed, or the pool is left a single one; then the gate is opened. The clients
that the workers held are no part of the count: of them, a kill takes one.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO

from benchmarks.clients import connect
from benchmarks.contenders import Running, ServerFailed
from benchmarks.output import Outcome, Target
from benchmarks.progress import bar
from benchmarks.rounds import Plan
from benchmarks.tables import listing
from benchmarks.watched import DEADLINE, wait_for_workers, watched

WORKERS = 4
QUEUED = 200
PLAN = Plan(rounds=5, seconds=0, clients=QUEUED)


def kill_one(server: Running, worker: int) -> None:
    os.kill(worker, signal.SIGKILL)


def leave_one(server: Running, worker: int) -> None:
    os.kill(server.pid, signal.SIGUSR1)


EVENTS: dict[str, Callable[[Running, int], None]] = {
    "a worker is killed": kill_one,
    f"{WORKERS} workers become 1": leave_one,
}


@dataclass(frozen=True)
class Ends:
    """How it ended for the clients of one round."""

    queued: int
    answered: int
    """Of those queued."""
    held: int
    """Clients that a worker had in hand at the moment of the event."""
    finished: int
    """Of those held."""


def measure(plan: Plan = PLAN) -> Outcome:
    rounds: dict[str, list[Ends]] = {}
    for event, act in EVENTS.items():
        with bar.part(1 / len(EVENTS)):
            rounds[event] = []
            for number in range(plan.rounds):
                rounds[event].append(one_round(act))
                bar.at((number + 1) / plan.rounds)
    return Outcome(
        question=f"what becomes of {QUEUED} clients that wait, {WORKERS} workers, strategy "
        f"reuseport, {plan.rounds} rounds.",
        rounds={},
        table=listing(
            ("while they wait", "answered", "of", "held", "finished"),
            (
                (
                    event,
                    str(sum(one.answered for one in series)),
                    str(sum(one.queued for one in series)),
                    str(sum(one.held for one in series)),
                    str(sum(one.finished for one in series)),
                )
                for event, series in rounds.items()
            ),
            "All rounds together. Held: by a worker, at the moment of the event.",
        ),
        targets=[
            Target(
                f"{event}: {{}} of {QUEUED} answered in the worst round",
                min(one.answered for one in series),
                at_least=QUEUED,
            )
            for event, series in rounds.items()
        ],
        figures={event: [vars(one) for one in series] for event, series in rounds.items()},
    )


def one_round(act: Callable[[Running, int], None]) -> Ends:
    """A server of its own, its workers busy, `QUEUED` clients behind them, and the event."""
    with ExitStack() as stack:
        gate = stack.enter_context(closed_gate())
        settings = {"strategy": "reuseport"}
        pool = watched("gated", WORKERS, name="reuseport", settings=settings, gate=gate.name)
        server = stack.enter_context(Running(pool))
        wait_for_workers(server, WORKERS)
        clients = [stack.enter_context(connect(server.port)) for _ in range(QUEUED + WORKERS)]
        held = holders(clients, WORKERS)
        act(server, next(iter(held.values())))
        time.sleep(0.2)  # for the master to hear of it; nothing else can be waited for
        fcntl.flock(gate, fcntl.LOCK_UN)
        answers = {client: to_the_end(client) for client in clients}
    served = {client for client, said in answers.items() if said.endswith(b"served\n")}
    return Ends(
        queued=len(clients) - len(held),
        answered=len(served - held.keys()),
        held=len(held),
        finished=len(served & held.keys()),
    )


@contextmanager
def closed_gate() -> Iterator[IO[bytes]]:
    """A file that is locked."""
    with tempfile.NamedTemporaryFile() as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield gate


def holders(clients: list[socket.socket], count: int) -> dict[socket.socket, int]:
    """Wait until each of so many workers has said which client it has: the worker of each."""
    held: dict[socket.socket, int] = {}
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        while len(held) < count:
            ready = selector.select(DEADLINE)
            if not ready:
                raise ServerFailed(f"Only {len(held)} of {count} workers have got a client.")
            for key, _ in ready:
                selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, socket.socket)
                held[key.fileobj] = int(key.fileobj.recv(64))
    return held


def to_the_end(client: socket.socket) -> bytes:
    """All that is still said to a client; nothing where the connection is lost."""
    said = b""
    try:
        while more := client.recv(64):
            said += more
    except (ConnectionError, TimeoutError):
        pass
    return said
