"""SIGKILL to workers at random, and to the master, under load.

PREFORK_TEST_KILLS (12 by default) is the number of workers that each of the first tests kills; with
300, they check what the project guarantees.
"""

import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.children import children, has_ended
from tests.support.clients import connect
from tests.support.deadlines import WHOLE_TEST, within
from tests.support.groups import Tcp, group_of
from tests.support.leaks import descriptors
from tests.support.load import CLIENTS, ClientLoad
from tests.support.polling import eventually
from tests.support.pools import LOOPBACK, PERSISTENT, answer, idle_workers, pool_of, refuses
from tests.support.programs import AT_ONCE, HOLDING, first_word, orphans_end, program, workers_here
from tests.support.serving import start_serving

KILLS = int(os.environ.get("PREFORK_TEST_KILLS", "12"))
ANSWERS_BETWEEN_KILLS = 10

WORKERS = 4


def work_and_answer_pid(request: Any, client_address: Any, server: Any) -> None:
    """Sends its pid as soon as it is entered, computes for 2 ms, and sends "served"."""
    request.recv(1)
    request.sendall(b"%d " % os.getpid())
    end = time.monotonic() + 0.002
    while time.monotonic() < end:
        pass
    request.sendall(b"served")


def signal_random_worker(server: Any, number: int) -> set[int]:
    """Send a signal to a random worker; return its pid, or nothing if there is no worker."""
    workers = sorted(server.active_children)
    for victim in random.sample(workers, min(len(workers), 1)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, number)
            return {victim}
    return set()


def kinds_of_descriptors() -> list[str]:
    """The kinds of open descriptors of this process, the master, without their identities."""
    return sorted(target.partition(":")[0] for _, target in descriptors())


@contextlib.contextmanager
def serving_without_error(server: Any) -> Iterator[None]:
    """Serve while the block runs; the loop must not raise, and ends even if the block does."""
    thread = start_serving(server)
    try:
        yield
        thread.shut_down()
        within(server.server_close)
    except BaseException:
        thread.end_at_once()
        raise
    assert thread.raised is None


def kill_workers_under_load(server: Any, *addresses: Any) -> set[int]:
    """Kill random workers while clients ask at all addresses; return the pids.

    Only requests that were in flight in these workers may be lost, at most one of each.
    """
    killed: set[int] = set()
    loads = [ClientLoad(address) for address in addresses]
    with contextlib.ExitStack() as stack:
        for load in loads:
            stack.enter_context(load.running())
        while len(killed) < KILLS:
            for load in loads:
                load.wait_for_answers(ANSWERS_BETWEEN_KILLS // len(loads))
            killed |= signal_random_worker(server, signal.SIGKILL)
    broken = [text for load in loads for text in load.broken]
    assert [error for load in loads for error in load.refused] == []
    assert {int(text.split()[0]) for text in broken if text} <= killed
    assert len(broken) <= len(killed)
    return killed


@pytest.mark.slow
@pytest.mark.timeout(KILLS + WHOLE_TEST)
@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("strategy", "fork_from"),
    [
        ("accept", "auto"),
        ("accept", "master"),
        ("fork", "auto"),
        ("handoff", "auto"),
        ("handoff", "mold"),
        ("reuseport", "auto"),
        ("reuseport", "mold"),
    ],
)
def test_workers_killed_at_random_cost_their_own_request_only(
    strategy: str, fork_from: str, errors: Any
) -> None:
    """No other client notices, and the killed workers leave no process and no descriptor."""
    settings = {"fork_from": fork_from, "refork_after": 10}
    server = pool_of(work_and_answer_pid, strategy=strategy, workers=WORKERS, settings=settings)
    with serving_without_error(server):
        if strategy in PERSISTENT:
            idle_workers(server, WORKERS)
        before = kinds_of_descriptors()
        killed = kill_workers_under_load(server, server.server_address)
        workers = idle_workers(server, WORKERS) if strategy in PERSISTENT else set()
        eventually(lambda: workers_here() == workers, what="no zombie")
        eventually(lambda: kinds_of_descriptors() == before, what="no descriptor left")
    assert len(errors()) <= len(killed)


@pytest.mark.slow
def test_workers_of_a_group_killed_at_random_cost_their_own_request_only(
    strategy: str, errors: Any
) -> None:
    """The requests may come to any member."""
    servers = [Tcp(LOOPBACK, work_and_answer_pid) for _ in range(2)]
    group = group_of(*servers, strategy=strategy, workers=WORKERS)
    with serving_without_error(group):
        killed = kill_workers_under_load(group, *(server.server_address for server in servers))
    assert len(errors()) <= len(killed)


@pytest.mark.slow
@pytest.mark.usefixtures("errors", "no_pauses")
@pytest.mark.parametrize(
    ("strategy", "fork_from"),
    [
        ("accept", "auto"),
        ("accept", "mold"),
        ("fork", "auto"),
        ("handoff", "auto"),
        ("handoff", "mold"),
        ("reuseport", "auto"),
    ],
)
def test_sigterm_to_workers_at_random_costs_no_request(
    strategy: str, fork_from: str, running: Any
) -> None:
    """On SIGTERM a worker finishes its request; others serve what it was handed beyond that."""
    settings = {"fork_from": fork_from, "refork_after": 10}
    pool = pool_of(work_and_answer_pid, strategy=strategy, workers=WORKERS, settings=settings)
    with running(pool) as server:
        load = ClientLoad(server.server_address)
        with load.running():
            for _ in range(KILLS):
                load.wait_for_answers(ANSWERS_BETWEEN_KILLS)
                signal_random_worker(server, signal.SIGTERM)
    assert load.refused == []
    assert load.broken == []


MASTER = (
    HOLDING
    + """
server.max_children = 4
server.serve_forever()
"""
)


@pytest.mark.one_queue
def test_idle_workers_of_a_killed_master_end_and_free_the_port(
    strategy: str, elsewhere: Path
) -> None:
    """Idle workers end within a second, busy ones after their request; then the port is free."""
    with program(MASTER.format(strategy=strategy), elsewhere) as it:
        address = it.address()
        with connect(address) as one, connect(address) as two:
            busy = set()
            for client in (one, two):
                client.sendall(b"h")
                busy.add(first_word(client))
            workers = it.workers(4 if strategy in PERSISTENT else 2)
            assert busy <= workers
            os.kill(it.pid, signal.SIGKILL)
            it.ends()
            assert orphans_end(workers - busy, AT_ONCE)
            assert not any(has_ended(pid, 0) for pid in busy)
            for client in (one, two):
                client.sendall(b"!")
                assert answer(client) == b"served"
        assert orphans_end(busy)
        assert refuses(address)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(address)


@pytest.mark.slow
def test_a_master_killed_under_load_leaves_no_process(strategy: str, elsewhere: Path) -> None:
    """The workers may be in any state at that moment."""
    with program(MASTER.format(strategy=strategy), elsewhere) as it:
        address = it.address()
        load = ClientLoad(address)
        with load.running():
            load.wait_for_answers(50)
            before = children()
            os.kill(it.pid, signal.SIGKILL)
            it.ends()
            orphans = children() - before
            eventually(lambda: len(load.refused) == CLIENTS, what="end of all answers")
        assert orphans_end(orphans)
        assert refuses(address)
        assert it.errors() == ""
