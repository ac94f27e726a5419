"""`max_children`, and the children of others."""

import os
from typing import Any

import pytest

from tests.documented.kit import LOOPBACK, entered, start_shutting_down, take_and_leave, take_one
from tests.support.announcements import Gate, Told
from tests.support.children import children, exit_code, fork_and_run, peek_exit_code
from tests.support.clients import connect, connections
from tests.support.deadlines import within
from tests.support.polling import eventually
from tests.support.serving import start_serving


@pytest.fixture
def stranger() -> Any:
    """A child of the program that is none of the server's, and has ended with status 7."""
    pid = fork_and_run(lambda: os._exit(7))
    peek_exit_code(pid)
    yield pid
    if pid in children():
        os.waitpid(pid, 0)


def limited(api: Any, limit: int, crowds: list[int]) -> Any:
    """A server class that notes how many children there are when one more is about to come."""

    class Server(api.ForkingTCPServer):
        max_children = limit
        turns = 0

        def process_request(self, request: Any, client_address: Any) -> None:
            crowds.append(len(self.active_children or ()))
            super().process_request(request, client_address)

        def service_actions(self) -> None:
            super().service_actions()
            self.turns += 1

    return Server


def test_there_are_never_more_children_than_allowed(
    api: Any, told: Told, gate: Gate, held: Any, running: Any
) -> None:
    crowds: list[int] = []
    server = limited(api, 2, crowds)(LOOPBACK, held)
    with connections(server.server_address, 5), running(server):
        entered(told)
        entered(told)
        for _ in range(3):
            assert len(server.active_children) <= 2
            gate.let_through()
            entered(told)
    assert len(crowds) == 5
    assert max(crowds) == 1


def test_the_limit_may_be_set_after_construction(
    api: Any, told: Told, gate: Gate, held: Any, running: Any
) -> None:
    crowds: list[int] = []
    server = limited(api, 40, crowds)(LOOPBACK, held)
    server.max_children = 1
    with connections(server.server_address, 2), running(server):
        entered(told)
        gate.let_through()
        entered(told)
    assert crowds == [0, 0]


def test_a_full_server_still_takes_its_turns(
    api: Any, improved: bool, told: Told, gate: Gate, held: Any, running: Any
) -> None:
    """The loop used to stand still until a child ended."""
    crowds: list[int] = []
    server = limited(api, 1, crowds)(LOOPBACK, held)
    with connections(server.server_address, 2), running(server):
        entered(told)
        if improved:
            seen = server.turns
            eventually(lambda: server.turns >= seen + 3)
            assert crowds == [0]
        gate.let_through()
        entered(told)
        assert crowds == [0, 0]


def test_a_full_server_can_be_shut_down(
    api: Any, improved: bool, told: Told, gate: Gate, held: Any
) -> None:
    """It used to wait for a child to end: for ever, if that one was stuck."""
    crowds: list[int] = []
    server = limited(api, 1, crowds)(LOOPBACK, held)
    with server, connections(server.server_address, 2):
        thread = start_serving(server)
        entered(told)
        if improved:
            within(server.shutdown)
            assert len(server.active_children) == 1
            gate.open()
        else:
            asking = start_shutting_down(server)
            gate.open()
            asking.result()
        thread.wait_until_it_ended()
        assert crowds == [0]


def test_the_limit_holds_for_handle_request_too(
    api: Any, improved: bool, told: Told, gate: Gate, held: Any
) -> None:
    """Without the loop nothing used to be collected, and nothing was limited."""
    crowds: list[int] = []
    server = limited(api, 2, crowds)(LOOPBACK, held)
    with server, connections(server.server_address, 3):
        take_one(server)
        take_one(server)
        entered(told)
        entered(told)
        server.timeout = 0.02
        server.handle_request()
        if improved:
            assert len(crowds) == 2
            assert len(children()) == 2
            gate.let_through()
            server.timeout = None
            take_one(server)
        entered(told)
        assert max(crowds) == (1 if improved else 2)
        gate.open()


def test_handle_request_leaves_no_zombies_behind(
    api: Any, improved: bool, told: Told, gate: Gate, held: Any
) -> None:
    """Only a time-out used to collect: a busy server without the loop kept them all."""
    gate.open()
    with api.ForkingTCPServer(LOOPBACK, held) as server:
        for _ in range(3):
            peek_exit_code(take_and_leave(server, told))
        assert len(children()) == (1 if improved else 3)
        assert server.active_children == children()


@pytest.mark.parametrize("blocking", [False, True])
def test_the_children_of_others_keep_their_exit_status(
    api: Any, gate: Gate, held: Any, stranger: int, blocking: bool
) -> None:
    gate.open()
    with api.ForkingTCPServer(LOOPBACK, held) as server:
        with connect(server.server_address):
            take_one(server)
        server.collect_children(blocking=blocking)
    assert exit_code(stranger) == 7


def test_the_children_of_others_keep_their_exit_status_even_when_it_is_full(
    api: Any, improved: bool, gate: Gate, held: Any, stranger: int
) -> None:
    """A full server used to wait for just any child: others found their statuses gone."""
    with api.ForkingTCPServer(LOOPBACK, held) as server:
        server.max_children = 1
        with connect(server.server_address):
            take_one(server)
        gate.open()
        server.collect_children()
        if improved:
            assert exit_code(stranger) == 7
        else:
            assert stranger not in children()


def test_a_full_server_in_its_loop_waits_for_its_own_children(
    api: Any, told: Told, gate: Gate, held: Any, running: Any, improved: bool, stranger: int
) -> None:
    if not improved:
        pytest.skip("takes the exit status of others")
    crowds: list[int] = []
    server = limited(api, 1, crowds)(LOOPBACK, held)
    with connections(server.server_address, 2), running(server):
        entered(told)
        gate.let_through()
        entered(told)
    assert crowds == [0, 0]
    assert exit_code(stranger) == 7
