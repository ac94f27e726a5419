"""The parts of each strategy, and its answers without any process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prefork.master.strategies import STRATEGIES, strategy_of
from prefork.master.strategies.base import Strategy
from prefork.master.strategies.dispatcher import Dispatcher
from prefork.master.strategies.fork import Fork, ForkAhead
from prefork.master.strategies.listeners import SharedListeners
from prefork.settings import Settings
from prefork.state.worker_table import WorkerTable
from prefork.workers.protocol.messages import Kind
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


def test_no_strategy_derives_from_another() -> None:
    """Strategies share parts instead."""
    assert {kind.__mro__[1] for kind in KINDS} == {Strategy}


def test_only_the_strategy_with_several_listeners_needs_a_port() -> None:
    """The settings say it, so that a command can refuse an address before a pool exists."""
    for name, kind in STRATEGIES.items():
        assert Settings(strategy=name).needs_ip_port is kind.has_siblings


def test_only_the_strategy_fork_keeps_no_persistent_worker(server: FakeServer) -> None:
    for name, kind in STRATEGIES.items():
        made = kind(server, WorkerTable())
        assert Settings(strategy=name).forks_per_request is (made.persistent(4) == 0)
        made.close()


def test_the_master_takes_a_request_only_if_a_worker_can_serve_it(
    strategy: Strategy,
) -> None:
    """Without workers, `fork` can fork one, and `handoff` has none to hand the request to."""
    assert strategy.dispatcher.wants_listener(4) is (type(strategy) is Fork)


def test_workers_that_take_requests_are_ordered_to_drain_the_backlog(
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


def test_the_base_dispatcher_takes_nothing() -> None:
    dispatcher = Dispatcher()
    assert dispatcher.fileno() == -1
    assert not dispatcher.can_take_more()
    assert not dispatcher.place(object(), None)
    with pytest.raises(NotImplementedError):
        dispatcher.wants_listener(1)
