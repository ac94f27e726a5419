"""A simulated pool and a real one agree on which worker takes a request."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from prefork.settings import IdleOrder
from prefork.simulation import Given, Scenario, Service, simulate
from tests.support.children import state_of
from tests.support.clients import ask
from tests.support.polling import eventually
from tests.support.pools import answer_pid, idle_workers, pool_of

WORKERS = 3
REQUESTS = 60


def served_in_reality(order: IdleOrder, running: Any) -> list[int]:
    """Requests of each worker, when each request is sent after all workers are idle again."""
    server = pool_of(
        answer_pid, workers=WORKERS, settings={"idle_order": order, "process_titles": False}
    )
    served: Counter[int] = Counter()
    with running(server):
        for _ in range(REQUESTS):
            workers = waiting_workers(server)
            served[int(ask(server.server_address))] += 1
    return sorted(served[pid] for pid in workers)


def waiting_workers(server: Any) -> set[int]:
    """Wait until all workers are idle and asleep in the kernel; return their pids."""
    workers = idle_workers(server, WORKERS)
    eventually(lambda: all(state_of(pid) == "S" for pid in workers), what="all workers to sleep")
    return workers


def served_in_theory(order: IdleOrder) -> list[int]:
    scenario = Scenario(
        arrivals=Given([0.1 * number for number in range(REQUESTS)]),
        services=[Service(0.001, 0.0)],
        workers=WORKERS,
        cores=1,
        seconds=0.1 * REQUESTS,
        idle_order=order,
    )
    return sorted(simulate(scenario).served)


@pytest.mark.parametrize("order", ["fifo", "lifo"])
def test_workers_take_as_many_requests_as_simulated(order: IdleOrder, running: Any) -> None:
    in_reality, in_theory = served_in_reality(order, running), served_in_theory(order)
    assert in_reality == in_theory
