"""How the children of `ForkingMixIn` are recorded, waited for and reaped."""

import os
import signal
from typing import Any

import pytest

from tests.documented.kit import (
    LOOPBACK,
    echo,
    entered,
    ignore,
    serve_one,
    start_closing,
    take_and_leave,
)
from tests.support.announcements import Gate, Told
from tests.support.children import children, exit_code, peek_exit_code
from tests.support.clients import connect
from tests.support.deadlines import within
from tests.support.polling import eventually
from tests.support.serving import start_serving


def test_each_server_records_its_own_children(api: Any) -> None:
    with (
        api.ForkingTCPServer(LOOPBACK, ignore) as one,
        api.ForkingTCPServer(LOOPBACK, ignore) as other,
    ):
        assert one.active_children is None
        serve_one(one)
        assert type(one.active_children) is set
        assert one.active_children == children()
        assert other.active_children is None
        assert api.ForkingMixIn.active_children is None
    assert not one.active_children
    assert other.active_children is None


def test_server_close_closes_the_listener_and_then_waits_for_the_children(
    api: Any, told: Told, gate: Gate, held: Any
) -> None:
    server = api.ForkingTCPServer(LOOPBACK, held)
    pids = {take_and_leave(server, told), take_and_leave(server, told)}
    assert server.active_children == pids
    closing = start_closing(server, told)
    gate.open()
    assert [told.next(), told.next(), told.next()] == [b"done", b"done", b"closed"]
    closing.result()
    assert not server.active_children
    assert children() == set()


def test_server_close_does_not_wait_for_children_if_block_on_close_is_false(
    api: Any, told: Told, gate: Gate
) -> None:
    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered", os.getpid())
        if server.handlers_wait:
            gate.wait()

    server = api.ForkingTCPServer(LOOPBACK, handler)
    server.block_on_close = False
    server.handlers_wait = True
    running = take_and_leave(server, told)
    server.handlers_wait = False
    ended = take_and_leave(server, told)
    peek_exit_code(ended)
    within(server.server_close)
    assert server.active_children == {running}
    assert children() == {running}
    gate.open()
    server.collect_children(blocking=True)
    assert not server.active_children
    server.server_close()


@pytest.mark.parametrize("collect", ["collect_children", "service_actions", "handle_timeout"])
def test_children_that_have_ended_are_reaped(api: Any, collect: str) -> None:
    with api.ForkingTCPServer(LOOPBACK, ignore) as server:
        serve_one(server)
        [pid] = server.active_children
        peek_exit_code(pid)
        assert pid in children()
        getattr(server, collect)()
        assert server.active_children == set()
        assert children() == set()


def test_children_that_still_run_are_left_alone(
    api: Any, told: Told, gate: Gate, held: Any
) -> None:
    with api.ForkingTCPServer(LOOPBACK, held) as server:
        pid = take_and_leave(server, told)
        server.collect_children()
        server.service_actions()
        server.handle_timeout()
        assert server.active_children == {pid}
        gate.open()


def test_a_timeout_of_handle_request_reaps_children(api: Any) -> None:
    with api.ForkingTCPServer(LOOPBACK, ignore) as server:
        serve_one(server)
        [pid] = server.active_children
        peek_exit_code(pid)
        server.timeout = 0
        server.handle_request()
        assert server.active_children == set()


def test_before_the_first_fork_there_is_nothing_to_reap(api: Any) -> None:
    with api.ForkingTCPServer(LOOPBACK, ignore) as server:
        server.collect_children()
        server.collect_children(blocking=True)
        server.service_actions()
        server.handle_timeout()
        assert server.active_children is None


@pytest.mark.parametrize("blocking", [False, True])
def test_a_child_that_was_reaped_elsewhere_is_forgotten(api: Any, blocking: bool) -> None:
    with api.ForkingTCPServer(LOOPBACK, ignore) as server:
        serve_one(server)
        [pid] = server.active_children
        assert exit_code(pid) == 0
        server.collect_children(blocking=blocking)
        assert server.active_children == set()


def test_children_are_forgotten_if_the_kernel_reaps_them(api: Any) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with api.ForkingTCPServer(LOOPBACK, echo) as server:
            assert serve_one(server, b"hello") == b"hello"
        assert not server.active_children
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_child_that_was_killed_is_reaped_like_any_other(api: Any, told: Told, held: Any) -> None:
    with api.ForkingTCPServer(LOOPBACK, held) as server:
        pid = take_and_leave(server, told)
        os.kill(pid, signal.SIGKILL)
        assert peek_exit_code(pid) == -signal.SIGKILL
        server.collect_children()
        assert server.active_children == set()


def test_the_loop_and_the_close_may_reap_at_the_same_time(
    api: Any, told: Told, gate: Gate, held: Any
) -> None:
    """A server is often closed while its loop still runs in another thread."""
    for _ in range(8):
        server = api.ForkingTCPServer(LOOPBACK, held)
        thread = start_serving(server, 0.001)
        try:
            close_while_children_end(server, told, gate)
            assert not server.active_children
        finally:
            thread.shut_down()
        assert thread.raised is None


def close_while_children_end(server: Any, told: Told, gate: Gate, children: int = 3) -> None:
    """Close a server whose loop runs; its children end while the close waits for them."""
    for _ in range(children):
        connect(server.server_address).close()
    for _ in range(children):
        entered(told)
    # A child may announce itself before its parent has recorded it.
    eventually(lambda: len(server.active_children) == children)
    closing = start_closing(server, told)
    gate.let_through(children)
    closing.result()
