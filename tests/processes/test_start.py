"""Rules 1 to 5: how a pool is made, when and where it forks, and which hooks it calls where."""

import functools
import os
import signal
import threading
from typing import Any

import pytest

from prefork import PreforkMixIn, PreforkTCPServer, Settings, TCPServer
from tests.documented.kit import traced
from tests.support.announcements import Told
from tests.support.children import children
from tests.support.clients import ask
from tests.support.pools import LOOPBACK, answer_pid, echo, idle_workers, pool_of
from tests.support.serving import start_serving


def test_rule_1_a_pool_needs_no_init_of_the_mix_in(strategy: str, running: Any) -> None:
    """Half of all programs call the constructor of the server by name and skip the mix-in's."""

    class Server(PreforkMixIn, TCPServer):
        prefork_settings = Settings(strategy=strategy)  # type: ignore[arg-type]

        def __init__(self) -> None:
            TCPServer.__init__(self, LOOPBACK, answer_pid)

    assert "__init__" not in vars(PreforkMixIn)
    with running(Server()) as server:
        assert int(ask(server.server_address)) != os.getpid()


def test_rule_2_nothing_is_forked_before_the_loop_runs(strategy: str, running: Any) -> None:
    """Programs daemonize, drop root or wrap the socket between construction and serving."""
    server = pool_of(answer_pid, strategy=strategy)
    assert children() == set()
    assert server.active_children is None
    assert server.prefork_status() == []
    with running(server):
        ask(server.server_address)


def test_rule_2_what_is_set_after_construction_reaches_the_workers(
    strategy: str, running: Any
) -> None:
    """DNS and OSC libraries attach their resolver or dispatcher after construction."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(server.zone)

    server = pool_of(echo, strategy=strategy)
    server.zone = b"example.org"
    server.RequestHandlerClass = handler
    with running(server):
        assert ask(server.server_address) == b"example.org"


def test_rule_2_max_children_may_be_set_on_the_instance(running: Any) -> None:
    """werkzeug sets it after construction, roundup on the class."""
    server = pool_of(answer_pid, workers=1)
    server.max_children = 3
    with running(server):
        idle_workers(server, 3)


def test_rule_3_serving_in_a_second_thread_leaves_every_signal_alone(
    strategy: str, running: Any
) -> None:
    """Live-server fixtures and reloaders serve in a thread, where signal() is not allowed.

    The handlers, the mask and the wake-up descriptor belong to the program.
    """
    before = {n: signal.getsignal(n) for n in signal.valid_signals() if n != signal.SIGALRM}
    with running(pool_of(answer_pid, strategy=strategy)) as server:
        assert int(ask(server.server_address)) != os.getpid()
        after = {n: signal.getsignal(n) for n in before}
        assert after == before
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


def test_rule_3_replacements_are_forked_in_the_second_thread_too(running: Any) -> None:
    """Forking must not depend on the main thread, not even for later workers."""
    with running(pool_of(answer_pid)) as server:
        for _ in range(3):
            first = idle_workers(server, 2)
            ask(server.server_address)
            os.kill(min(first), signal.SIGKILL)
            second = set[int]()
            while len(second) < 2 or min(first) in second:
                second = idle_workers(server, 2)


def test_rule_3_the_forking_thread_is_the_main_thread_of_the_worker(running: Any) -> None:
    """Handlers that use signals or `threading.main_thread()` must work in a worker."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        main = threading.main_thread() is threading.current_thread()
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        request.sendall(b"main" if main else b"other")

    with running(pool_of(handler)) as server:
        assert ask(server.server_address) == b"main"


def test_rule_4_a_loop_bound_under_another_name_still_serves_with_the_pool(running: Any) -> None:
    """dulwich writes `serve = TCPServer.serve_forever` in its class body."""

    class Server(PreforkTCPServer):
        max_children = 2
        serve = TCPServer.serve_forever

        def serve_forever(self, poll_interval: float | None = 0.5) -> None:
            self.serve(0.01)

    with running(Server(LOOPBACK, answer_pid)) as server:
        workers = idle_workers(server, 2)
        assert int(ask(server.server_address)) in workers


def test_rule_4_a_loop_called_by_its_class_serves_with_the_pool(running: Any) -> None:
    """A subclass that prints something first often calls `TCPServer.serve_forever(self)` then."""

    class Server(PreforkTCPServer):
        max_children = 2

        def serve_forever(self, poll_interval: float | None = 0.5) -> None:
            TCPServer.serve_forever(self, 0.01)

    with running(Server(LOOPBACK, answer_pid)) as server:
        assert int(ask(server.server_address)) in idle_workers(server, 2)


MASTER_HOOKS = {"server_bind", "server_activate", "server_close", "service_actions"}
TAKING_HOOKS = {"get_request", "verify_request", "process_request"}
TAKEN_BY_MASTER: dict[str, set[str]] = {
    "accept": set(),
    "fork": TAKING_HOOKS,
    "handoff": {"get_request", "verify_request"},
    "reuseport": set(),
}
SERVING_HOOKS = {"finish_request", "shutdown_request", "close_request"}


def announcing(told: Told) -> Any:
    """A pool class that announces each hook that is called, and in which process."""
    return traced(PreforkTCPServer, lambda name: told.say(name, os.getpid()))


def test_rule_5_every_hook_is_called_on_the_server_and_in_its_process(
    strategy: str, running: Any, told: Told
) -> None:
    """Programs override hooks: get_request() to add TLS, verify_request() to filter addresses,
    shutdown_request() to send a last message. A pool that skips a hook breaks them."""
    base = announcing(told)
    with running(pool_of(echo, strategy=strategy, base=base)) as server:
        assert ask(server.server_address, b"x") == b"x"
        while told.next() != b"service_actions %d" % os.getpid():
            pass
    processes: dict[str, set[bool]] = {}
    for line in told.history + told.so_far():
        name, pid = line.split()
        processes.setdefault(name.decode(), set()).add(int(pid) == os.getpid())
    in_master = MASTER_HOOKS | TAKEN_BY_MASTER[strategy]
    in_worker = SERVING_HOOKS | TAKING_HOOKS - TAKEN_BY_MASTER[strategy]
    for hook in in_master - in_worker:
        assert processes[hook] == {True}, hook
    for hook in in_worker - {"close_request"}:
        assert processes[hook] == {False}, hook
    assert False in processes["close_request"]


def test_rule_5_the_hooks_of_a_request_come_in_the_documented_order(
    running: Any, told: Told
) -> None:
    """Programs open something in one hook and close it in another."""
    base = announcing(told)
    with running(pool_of(echo, base=base, workers=1)) as server:
        ask(server.server_address, b"x")
    lines = [line.split() for line in told.so_far()]
    order = [name.decode() for name, pid in lines if int(pid) != os.getpid()]
    assert order[:6] == [
        "get_request",
        "verify_request",
        "process_request",
        "finish_request",
        "shutdown_request",
        "close_request",
    ]


def test_rule_5_an_error_goes_to_handle_error_in_the_worker(
    strategy: str, running: Any, told: Told
) -> None:
    """Error reporters override handle_error(), which runs in the worker."""

    def report(self: Any, request: Any, client_address: Any) -> None:
        told.say("error", os.getpid(), client_address[1])

    def handler(request: Any, client_address: Any, server: Any) -> None:
        raise ValueError("no")

    with running(pool_of(handler, strategy=strategy, handle_error=report)) as server:
        assert ask(server.server_address) == b""
        pid, port = told.wait_for(b"error").split()
        assert int(pid) != os.getpid()
        assert int(port) > 0


def test_rule_5_a_get_request_of_the_instance_is_used(strategy: str, running: Any) -> None:
    """Test suites and wrappers replace the method on the object, not on the class."""
    server = pool_of(lambda request, address, server: request.sendall(address), strategy=strategy)
    original = server.get_request
    server.get_request = lambda: (original()[0], b"replaced")
    with running(server):
        assert ask(server.server_address) == b"replaced"


def test_rule_5_a_refused_request_is_closed_unserved(strategy: str, running: Any) -> None:
    """Programs filter addresses in verify_request."""
    with running(pool_of(echo, strategy=strategy, verify_request=lambda *_: False)) as server:
        assert ask(server.server_address) == b""


class Answering:
    """Has a method that can serve as a request handler."""

    def answer(self, word: bytes, request: Any, client_address: Any, server: Any) -> None:
        request.sendall(word)


@pytest.mark.parametrize(
    "handler",
    [
        functools.partial(Answering().answer, b"hello"),
        lambda request, *_: request.sendall(b"hello"),
        functools.partialmethod(Answering.answer, b"hello").__get__(Answering(), Answering),
    ],
    ids=["partial", "lambda", "bound method"],
)
def test_rule_5_handlers_that_cannot_be_pickled_are_fine(
    strategy: str, running: Any, handler: Any
) -> None:
    """`http.server` passes a partial, tests pass lambdas, other programs bound methods."""
    with running(pool_of(handler, strategy=strategy)) as server:
        assert ask(server.server_address) == b"hello"


def test_rule_5_the_client_address_may_hold_anything(strategy: str, running: Any) -> None:
    """Radicale puts the socket itself into the client's address."""

    def get_request(self: Any) -> Any:
        request, address = TCPServer.get_request(self)
        return request, (request, *address)

    def handler(request: Any, client_address: Any, server: Any) -> None:
        client_address[0].sendall(b"%d" % client_address[2])

    with running(pool_of(handler, strategy=strategy, get_request=get_request)) as server:
        assert int(ask(server.server_address)) > 0


def test_a_pool_serves_again_after_a_first_run(strategy: str) -> None:
    """Programs that reload serve again with the same object.

    The second run used to mistake the leaving workers of the first run for a failed start.
    """
    server = pool_of(answer_pid, strategy=strategy)
    for _ in range(3):
        thread = start_serving(server)
        assert int(ask(server.server_address)) != os.getpid()
        thread.shut_down()
        assert thread.raised is None
    server.server_close()
