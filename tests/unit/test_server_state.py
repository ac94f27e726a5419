"""The private record that a server carries."""

import copy

from prefork import BaseServer
from prefork.socketserver.state import state_of


def server() -> BaseServer:
    return BaseServer(("", 0), lambda *_: None)


def test_a_server_has_one_record() -> None:
    one = server()
    assert state_of(one) is state_of(one)
    assert state_of(one) is not state_of(server())


def test_a_shallow_copy_has_a_record_of_its_own() -> None:
    """Two running loops used to overwrite each other's, and one waited for itself forever."""
    one = server()
    mine = state_of(one)
    other = copy.copy(one)
    assert state_of(other) is not mine
    assert state_of(one) is mine
    assert state_of(other) is state_of(other)
