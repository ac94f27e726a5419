"""What each strategy is made of, and what it answers without a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prefork.master.strategies import STRATEGIES, strategy_of
from prefork.master.strategies.base import Strategy
from prefork.master.strategies.dispatcher import Dispatcher
from prefork.master.strategies.fork import Fork, ForkAhead
from prefork.master.strategies.listeners import SharedListeners
from prefork.settings import FORKS_PER_REQUEST, Settings
from prefork.state.worker_table import WorkerTable
from prefork.workers.protocol.channel import Kind
from tests.support.fake_system import FakeServer

KINDS: list[type[Strategy]] = [*STRATEGIES.values(), ForkAhead]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.listener.close()


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def strategy(request: pytest.FixtureRequest, server: FakeServer) -> Iterator[Strategy]:
    strategy: Strategy = request.param(server, WorkerTable())
    yield strategy
    strategy.close()


def test_fork_ahead_is_a_variant_of_fork_and_no_other_strategy_has_one() -> None:
    assert strategy_of(Settings(strategy="fork")) is Fork
    assert strategy_of(Settings(strategy="fork", fork_ahead=2)) is ForkAhead
    for name, kind in STRATEGIES.items():
        assert strategy_of(Settings(strategy=name)) is kind


def test_every_strategy_stands_for_itself() -> None:
    """None changes what another one does: they share their parts."""
    assert {kind.__mro__[1] for kind in KINDS} == {Strategy}


def test_the_settings_know_which_strategies_fork_for_each_request() -> None:
    assert {name for name, kind in STRATEGIES.items() if kind.forks_per_request} == set(
        FORKS_PER_REQUEST
    )


def test_only_a_strategy_with_siblings_needs_a_port() -> None:
    assert [kind for kind in KINDS if kind.needs_ip_port] == [STRATEGIES["reuseport"]]
    assert [kind for kind in KINDS if kind.has_siblings] == [STRATEGIES["reuseport"]]


def test_the_master_takes_a_request_only_if_it_can_bring_it_to_a_worker(
    strategy: Strategy,
) -> None:
    """Without workers: `fork` may fork one, and `handoff` has none to hand it to."""
    assert strategy.dispatcher.wants_listener(4) is (type(strategy) is Fork)


def test_workers_empty_the_backlog_where_they_take_requests_until_the_end(
    strategy: Strategy,
) -> None:
    order = strategy.last_order()
    if strategy.workers_take:
        assert (order.kind, int(order.body)) == (
            Kind.DRAIN,
            strategy.listeners.waiting_at_most(),
        )
    else:
        assert order.kind is Kind.RETIRE or int(order.body) == 0


def test_a_listener_that_is_open_is_non_blocking_until_it_is_restored(server: FakeServer) -> None:
    listeners = SharedListeners(server)
    listeners.open()
    assert not server.listener_blocks()
    listeners.restore()
    assert server.listener_blocks()


def test_without_an_open_listener_no_worker_is_forked(server: FakeServer) -> None:
    server.listener.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        SharedListeners(server).open()


def test_the_hooks_of_a_dispatcher_do_nothing_by_themselves() -> None:
    dispatcher = Dispatcher()
    assert dispatcher.fileno() == -1
    assert not dispatcher.can_take_more()
    assert not dispatcher.place(object(), None)
    with pytest.raises(NotImplementedError):
        dispatcher.wants_listener(1)
