"""`max_children`, and the children of the program that are not the server's."""

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
def other_child() -> Any:
    """A child of the program that is not the server's, and has exited with status 7."""
    pid = fork_and_run(lambda: os._exit(7))
    peek_exit_code(pid)
    yield pid
    if pid in children():
        os.waitpid(pid, 0)


def limited(api: Any, limit: int, crowds: list[int]) -> Any:
    """Return a server class that records how many children there are before each new one."""

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


def test_there_are_never_more_children_than_max_children(
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


def test_the_loop_of_a_full_server_keeps_running(
    api: Any, improved: bool, told: Told, gate: Gate, held: Any, running: Any
) -> None:
    """With the standard library's module, the loop blocks until a child ends."""
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
    """With the standard library's module, it first waits for a child, possibly a stuck one."""
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


def test_the_limit_applies_to_handle_request_too(
    api: Any, improved: bool, told: Told, gate: Gate, held: Any
) -> None:
    """With the standard library's module, `handle_request` reaps no child and has no limit."""
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


def test_handle_request_leaves_no_zombies(
    api: Any, improved: bool, told: Told, gate: Gate, held: Any
) -> None:
    """The standard library reaps only at a time-out, so a busy server keeps its zombies."""
    gate.open()
    with api.ForkingTCPServer(LOOPBACK, held) as server:
        for _ in range(3):
            peek_exit_code(take_and_leave(server, told))
        assert len(children()) == (1 if improved else 3)
        assert server.active_children == children()


@pytest.mark.parametrize("blocking", [False, True])
def test_other_children_of_the_program_keep_their_exit_status(
    api: Any, gate: Gate, held: Any, other_child: int, blocking: bool
) -> None:
    gate.open()
    with api.ForkingTCPServer(LOOPBACK, held) as server:
        with connect(server.server_address):
            take_one(server)
        server.collect_children(blocking=blocking)
    assert exit_code(other_child) == 7


def test_other_children_keep_their_exit_status_even_when_the_server_is_full(
    api: Any, improved: bool, gate: Gate, held: Any, other_child: int
) -> None:
    """With the standard library's module, a full server reaps any child of the program."""
    with api.ForkingTCPServer(LOOPBACK, held) as server:
        server.max_children = 1
        with connect(server.server_address):
            take_one(server)
        gate.open()
        server.collect_children()
        if improved:
            assert exit_code(other_child) == 7
        else:
            assert other_child not in children()


def test_a_full_server_in_its_loop_waits_for_its_own_children(
    api: Any, told: Told, gate: Gate, held: Any, running: Any, improved: bool, other_child: int
) -> None:
    if not improved:
        pytest.skip("reaps children that are not its own")
    crowds: list[int] = []
    server = limited(api, 1, crowds)(LOOPBACK, held)
    with connections(server.server_address, 2), running(server):
        entered(told)
        gate.let_through()
        entered(told)
    assert crowds == [0, 0]
    assert exit_code(other_child) == 7
