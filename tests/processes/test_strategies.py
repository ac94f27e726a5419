"""Guarantees of single strategies."""

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from prefork import PreforkUnixStreamServer, SettingsError
from tests.support.announcements import Gate, Told
from tests.support.clients import ask
from tests.support.deadlines import ENDING
from tests.support.polling import eventually
from tests.support.pools import (
    Handler,
    answer,
    answer_pid,
    echo,
    idle_workers,
    pool_of,
    waiting_clients,
)


def served_by(server: Any, count: int) -> list[int]:
    """Send *count* requests, one at a time; how many each worker has served, in falling order."""
    workers = Counter(int(ask(server.server_address)) for _ in range(count))
    return sorted(workers.values(), reverse=True)


@pytest.mark.parametrize("strategy", ["accept", "handoff"])
def test_with_fifo_idle_workers_take_turns(strategy: str, running: Any) -> None:
    server = pool_of(answer_pid, strategy=strategy, workers=4)
    with running(server):
        idle_workers(server, 4)
        shares = served_by(server, 400)
    assert len(shares) == 4
    assert shares[0] < 2 * shares[-1]


# A client gets its answer before the worker is idle: the next request may go to a second or third.
@pytest.mark.parametrize(("strategy", "few", "least"), [("accept", 1, 90), ("handoff", 2, 120)])
def test_with_lifo_few_workers_serve_most_requests(
    strategy: str, few: int, least: int, running: Any
) -> None:
    """So the others can be retired. An even share of 200 requests would be 50 for each."""
    server = pool_of(answer_pid, strategy=strategy, workers=4, settings={"idle_order": "lifo"})
    with running(server):
        idle_workers(server, 4)
        assert sum(served_by(server, 200)[:few]) >= least


def unused_workers(server: Any, count: int) -> set[int]:
    """Wait until *count* workers wait for their first request; return their pids."""

    def unused() -> set[int]:
        status = server.prefork_status()
        pids = {one.pid for one in status if one.state == "idle" and not one.served}
        return pids if len(pids) == count else set()

    return eventually(unused, what=f"{count} workers that have served nothing")


def test_fork_ahead_each_request_has_a_process_that_existed_before_it(running: Any) -> None:
    server = pool_of(answer_pid, strategy="fork", workers=4, settings={"fork_ahead": 2})
    with running(server):
        seen: set[int] = set()
        for _ in range(20):
            ready = unused_workers(server, 2)
            pid = int(ask(server.server_address))
            assert pid in ready
            assert pid not in seen
            seen.add(pid)


def test_fork_ahead_there_are_never_more_than_max_children(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    server = pool_of(held, strategy="fork", workers=3, settings={"fork_ahead": 2})
    with running(server), waiting_clients(server.server_address, 7) as clients:
        pids = {told.wait_for(b"entered") for _ in range(3)}
        assert len(pids) == 3
        eventually(lambda: len(server.active_children) == 3, what="all workers in active_children")
        gate.open()
        assert [answer(client) for client in clients] == [b"served %d" % n for n in range(7)]


def test_fork_ahead_each_request_in_the_backlog_has_its_own_process_at_the_end(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    server = pool_of(held, strategy="fork", workers=2, settings={"fork_ahead": 2})
    with running(server):
        clients = waiting_clients(server.server_address, 6)
        with clients as waiting:
            told.wait_for(b"entered")
            gate.open()
            server.shutdown()
            server.server_close()
            assert [answer(client) for client in waiting] == [b"served %d" % n for n in range(6)]
    announced = told.history + told.so_far()
    assert len({line for line in announced if line.startswith(b"entered")}) == 6


REUSEPORT = 4
QUEUED = 200


def test_reuseport_clients_in_the_queue_of_a_worker_that_is_killed_are_served(
    running: Any, held: Handler, told: Told, gate: Gate, errors: Any
) -> None:
    """The master keeps its listener open; the next worker of the slot inherits it."""
    server = pool_of(held, strategy="reuseport", workers=REUSEPORT)
    with running(server):
        workers = idle_workers(server, REUSEPORT)
        with waiting_clients(server.server_address, QUEUED) as clients:
            busy = {told.wait_for(b"entered") for _ in range(REUSEPORT)}
            assert {int(pid) for pid in busy} == workers
            victim = min(workers)
            os.kill(victim, signal.SIGKILL)
            gate.open()
            answers = [answer(client) for client in clients]
    assert sum(not text for text in answers) == 1, "the request in flight in the killed worker"
    assert len(errors()) == 1


def test_reuseport_clients_in_the_queues_of_slots_that_are_given_up_are_served(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """A worker that stays gets the listener; clients that come later are served, too."""
    server = pool_of(held, strategy="reuseport", workers=REUSEPORT)
    with running(server):
        idle_workers(server, REUSEPORT)
        with waiting_clients(server.server_address, QUEUED) as clients:
            for _ in range(REUSEPORT):
                told.wait_for(b"entered")
            server.max_children = 1
            gate.open()
            assert all(answer(client) for client in clients)
        idle_workers(server, 1)
        with waiting_clients(server.server_address, 40) as clients:
            assert all(answer(client) for client in clients)


def test_reuseport_a_pool_that_grows_again_uses_all_its_listeners(running: Any) -> None:
    server = pool_of(answer_pid, strategy="reuseport", workers=3)
    with running(server):
        idle_workers(server, 3)
        server.max_children = 1
        idle_workers(server, 1)
        server.max_children = 3
        workers = idle_workers(server, 3)

        def all_have_served() -> bool:
            ask(server.server_address)
            return all(status.served for status in server.prefork_status())

        eventually(all_have_served, ENDING, what="a request for each worker")
        assert idle_workers(server, 3) == workers


def test_reuseport_is_refused_for_a_unix_socket(short_path: Path) -> None:
    address = str(short_path / "socket")
    server = pool_of(echo, base=PreforkUnixStreamServer, address=address)
    server.prefork_settings = type(server.prefork_settings)(strategy="reuseport")
    with server, pytest.raises(SettingsError, match="'reuseport' needs a TCP or UDP port"):
        server.serve_forever()
