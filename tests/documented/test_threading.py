"""`ThreadingMixIn`: a thread for each request, and waiting for it."""

import threading
from typing import Any

import pytest

from tests.documented.kit import (
    LOOPBACK,
    echo,
    ignore,
    raiser,
    serve_one,
    start_closing,
    take_one,
)
from tests.support.announcements import Gate, Told
from tests.support.clients import connect, receive_all
from tests.support.deadlines import ENDING, stretched, within
from tests.support.polling import eventually


def take_into_thread(server: Any, told: Told) -> threading.Thread:
    """Let a thread serve a client's request, and close the client; return the thread."""
    with connect(server.server_address):
        take_one(server)
    name = told.wait_for(b"entered").decode().partition(" ")[2]
    [thread] = [thread for thread in threading.enumerate() if thread.name == name]
    return thread


def test_each_request_has_its_own_thread(api: Any, told: Told, gate: Gate, held: Any) -> None:
    with api.ThreadingTCPServer(LOOPBACK, held) as server:
        threads = [take_into_thread(server, told) for _ in range(3)]
        assert len({thread.ident for thread in threads}) == 3
        assert all(t.name.endswith("(process_request_thread)") for t in threads)
        gate.open()


@pytest.mark.parametrize("daemon", [False, True])
def test_threads_are_daemons_if_daemon_threads_is_true(
    api: Any, told: Told, gate: Gate, held: Any, daemon: bool
) -> None:
    with api.ThreadingTCPServer(LOOPBACK, held) as server:
        server.daemon_threads = daemon
        thread = take_into_thread(server, told)
        assert thread.daemon is daemon
        gate.open()
        thread.join(stretched(ENDING))


def test_each_server_creates_its_list_of_threads_when_it_needs_it(api: Any) -> None:
    with (
        api.ThreadingTCPServer(LOOPBACK, ignore) as one,
        api.ThreadingTCPServer(LOOPBACK, ignore) as other,
    ):
        assert "_threads" not in vars(one)
        serve_one(one)
        assert isinstance(vars(one)["_threads"], api._Threads)
        assert "_threads" not in vars(other)
        assert isinstance(api.ThreadingMixIn._threads, api._NoThreads)


def test_server_close_closes_the_listener_and_then_waits_for_the_threads(
    api: Any, told: Told, gate: Gate, held: Any
) -> None:
    server = api.ThreadingTCPServer(LOOPBACK, held)
    take_into_thread(server, told)
    take_into_thread(server, told)
    closing = start_closing(server, told)
    gate.open()
    assert [told.next(), told.next(), told.next()] == [b"done", b"done", b"closed"]
    closing.result()
    assert len(server._threads) == 0


def test_server_close_does_not_wait_if_block_on_close_is_false(
    api: Any, told: Told, gate: Gate, held: Any
) -> None:
    server = api.ThreadingTCPServer(LOOPBACK, held)
    server.block_on_close = False
    thread = take_into_thread(server, told)
    assert "_threads" not in vars(server)
    close_before_it_ends(thread, server, told, gate)


def test_server_close_does_not_wait_for_daemons(
    api: Any, told: Told, gate: Gate, held: Any
) -> None:
    server = api.ThreadingTCPServer(LOOPBACK, held)
    server.daemon_threads = True
    thread = take_into_thread(server, told)
    assert len(server._threads) == 0
    close_before_it_ends(thread, server, told, gate)


def close_before_it_ends(thread: threading.Thread, server: Any, told: Told, gate: Gate) -> None:
    """Close a server while a thread still serves its request, then let that thread end."""
    within(server.server_close)
    told.say("closed")
    gate.open()
    assert [told.next(), told.next()] == [b"closed", b"done"]
    thread.join(stretched(ENDING))


def test_threads_that_have_ended_are_removed_from_the_list(api: Any) -> None:
    with api.ThreadingTCPServer(LOOPBACK, ignore) as server:
        before = set(threading.enumerate())
        for _ in range(30):
            serve_one(server)
            eventually(lambda: set(threading.enumerate()) <= before)
        assert len(server._threads) < 10


def test_the_list_of_threads_costs_little_for_each_request(
    api: Any, improved: bool, told: Told, gate: Gate, held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the standard library's module, each new request checks all threads."""
    requests = 24
    checked = []
    is_alive = threading.Thread.is_alive

    def counted(thread: threading.Thread) -> bool:
        checked.append(thread)
        return is_alive(thread)

    with api.ThreadingTCPServer(LOOPBACK, held) as server:
        monkeypatch.setattr(threading.Thread, "is_alive", counted)
        for _ in range(requests):
            take_into_thread(server, told)
        monkeypatch.undo()
        gate.open()
        assert len(server._threads) == requests
    if improved:
        assert len(checked) <= 2 * requests
    else:
        assert len(checked) == requests * (requests - 1) / 2


def test_threads_can_be_added_by_an_override(api: Any) -> None:
    """Programs do this: they repeat the body of `process_request` to name their threads."""

    class Server(api.ThreadingTCPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            vars(self).setdefault("_threads", api._Threads())
            thread = threading.Thread(
                target=self.process_request_thread, args=(request, client_address), name="mine"
            )
            self._threads.append(thread)
            thread.start()

    names = []

    def handler(request: Any, client_address: Any, server: Any) -> None:
        names.append(threading.current_thread().name)

    with Server(LOOPBACK, handler) as server:
        serve_one(server)
    assert names == ["mine"]
    assert len(server._threads) == 0


def test_the_list_of_threads_is_a_list(api: Any) -> None:
    threads = api._Threads()
    idle = threading.Thread(target=ignore)
    daemon = threading.Thread(target=ignore, daemon=True)
    for thread in (idle, daemon):
        thread.start()
        thread.join()
    end = threading.Event()
    alive = threading.Thread(target=end.wait)
    alive.start()
    threads.append(daemon)
    assert list(threads) == []
    threads.append(alive)
    threads.append(idle)
    threads.reap()
    assert list(threads) == [alive]
    assert threads.pop_all() == [alive]
    assert len(threads) == 0
    threads.append(alive)
    end.set()
    threads.join()
    assert not alive.is_alive()
    assert len(threads) == 0


def test_threads_are_not_recorded_if_the_close_does_not_wait(api: Any) -> None:
    threads = api._NoThreads()
    threads.append(threading.Thread(target=ignore))
    threads.join()


def test_the_work_of_a_thread_can_be_done_elsewhere(api: Any) -> None:
    """Servers with a thread pool do this: the method is looked up on the instance."""
    handed_over = []

    class Server(api.ThreadingTCPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            self.process_request_thread(request, client_address)

    with Server(LOOPBACK, echo) as server:
        assert serve_one(server, b"hello") == b"hello"
    with api.ThreadingTCPServer(LOOPBACK, echo) as server:
        inherited = server.process_request_thread

        def on_the_instance(request: Any, client_address: Any) -> None:
            handed_over.append(threading.current_thread())
            inherited(request, client_address)

        server.process_request_thread = on_the_instance
        assert serve_one(server, b"hello") == b"hello"
    assert len(handed_over) == 1
    assert handed_over[0] is not threading.current_thread()


def test_the_mix_in_needs_no_constructor(api: Any) -> None:
    served = []

    class Server(api.ThreadingMixIn):
        def finish_request(self, request: Any, client_address: Any) -> None:
            served.append((request, client_address))

        def shutdown_request(self, request: Any) -> None:
            served.append("shut down")

    server = Server()
    server.process_request("request", "client")
    server._threads.join()
    assert served == [("request", "client"), "shut down"]


def test_a_handler_thread_may_close_the_server(api: Any, improved: bool, told: Told) -> None:
    """With the standard library's module, it raises because it would wait for itself."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        try:
            server.server_close()
        except RuntimeError as error:
            told.say(str(error))
        else:
            told.say("closed")

    with api.ThreadingTCPServer(LOOPBACK, handler) as server, connect(server.server_address) as c:
        take_one(server)
        assert told.next() == (b"closed" if improved else b"cannot join current thread")
        assert receive_all(c) == b""
        assert server.fileno() == -1


def test_a_thread_that_could_not_start_does_not_disturb_the_close(
    api: Any, improved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Server(api.ThreadingTCPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    server = Server(LOOPBACK, ignore)
    with monkeypatch.context() as patch, connect(server.server_address):
        patch.setattr(threading.Thread, "start", raiser(RuntimeError("can't start new thread")))
        take_one(server)
    if improved:
        server.server_close()
    else:
        with pytest.raises(RuntimeError, match="before it is started"):
            server.server_close()
    assert server.fileno() == -1
