"""Rules 11 to 15: the pool leaves alone what belongs to the program."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from prefork import ForkingMixIn, PreforkMixIn, PreforkTCPServer, ThreadingMixIn
from tests.support.announcements import Gate, Told
from tests.support.children import exit_code, fork_and_run, has_ended
from tests.support.clients import ask, connect, receive_all
from tests.support.deadlines import ENDING, Call, stretched, within
from tests.support.polling import eventually
from tests.support.pools import (
    PERSISTENT,
    Handler,
    answer_pid,
    cpu_seconds,
    exhausting,
    idle_workers,
    messages,
    pool_of,
    wait_for_turns,
    waiting_clients,
)
from tests.support.programs import program
from tests.support.serving import serving, start_serving


def test_rule_11_servers_are_never_compared_or_hashed(strategy: str, running: Any) -> None:
    """pyserve3's servers define `__eq__` without `__hash__`; others compare equal to everything."""

    class Odd(PreforkTCPServer):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

        def __bool__(self) -> bool:
            raise AssertionError("tested for truth")

        def __len__(self) -> int:
            raise AssertionError("counted")

    with running(pool_of(answer_pid, strategy=strategy, base=Odd)) as server:
        assert int(ask(server.server_address)) != os.getpid()


def test_rule_11_two_servers_that_claim_to_be_equal_are_kept_apart(
    strategy: str, running: Any
) -> None:
    """A request to one of them must not reach the other."""

    class Equal(PreforkTCPServer):
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(server.name)

    servers = [pool_of(handler, strategy=strategy, base=Equal) for _ in range(2)]
    for number, server in enumerate(servers):
        server.name = b"%d" % number
    with running(servers[0]), running(servers[1]):
        for number, server in enumerate(servers):
            assert ask(server.server_address) == b"%d" % number


def test_rule_12_children_of_the_program_are_never_reaped(
    strategy: str, running: Any, gate: Gate
) -> None:
    """waitpid(-1) would take exit statuses that `subprocess` and forks of the program need."""
    with running(pool_of(answer_pid, strategy=strategy)) as server:
        if strategy in PERSISTENT:
            idle_workers(server, 2)  # a worker forked during Popen() would inherit its error pipe
        program = subprocess.Popen([sys.executable, "-c", "import sys; sys.exit(7)"])
        own = fork_and_run(gate.wait)
        ended = fork_and_run(lambda: os._exit(5))
        for _ in range(5):
            ask(server.server_address)
        if strategy in PERSISTENT:
            os.kill(min(idle_workers(server, 2)), signal.SIGTERM)
        gate.open()
        within(lambda: server.collect_children(blocking=False))
    assert program.wait(stretched(ENDING)) == 7
    assert exit_code(own) == 0
    assert exit_code(ended) == 5


def test_rule_12_a_program_that_ignores_sigchld_can_have_a_pool(strategy: str, errors: Any) -> None:
    """The kernel then reaps the children, and waiting for one fails with ECHILD."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        server = pool_of(answer_pid, strategy=strategy)
        thread = start_serving(server)
        for _ in range(5):
            ask(server.server_address)
        if strategy in PERSISTENT:
            workers = idle_workers(server, 2)
            os.kill(min(workers), signal.SIGTERM)
            eventually(lambda: min(workers) not in idle_workers(server, 2), what="replacement")
        thread.shut_down()
        within(server.server_close)
        assert not server.active_children
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert errors() == [], "a worker that leaves on order is not an error"


def test_rule_12_a_program_that_reaps_every_child_does_not_harm_the_pool(
    strategy: str, running: Any, errors: Any
) -> None:
    """Some programs call waitpid(-1) in a loop, as every init does."""
    with running(pool_of(answer_pid, strategy=strategy)) as server:
        if strategy in PERSISTENT:
            victim = min(idle_workers(server, 2))
            os.kill(victim, signal.SIGKILL)
            assert has_ended(victim)
        else:
            ask(server.server_address)
        for _ in range(10):
            try:
                os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
        for _ in range(5):
            assert int(ask(server.server_address)) != os.getpid()
        if strategy in PERSISTENT:
            eventually(lambda: victim not in idle_workers(server, 2), what="replacement")
    errors()


def test_rule_13_service_actions_runs_in_the_master_at_the_usual_interval(
    strategy: str, running: Any, told: Told
) -> None:
    """Reloaders, timers and Radicale's clean-up rely on it, even while workers serve everything."""

    def service_actions(self: Any) -> None:
        PreforkMixIn.service_actions(self)
        told.say("turn", os.getpid())

    with running(pool_of(answer_pid, strategy=strategy, service_actions=service_actions)) as server:
        for _ in range(5):
            ask(server.server_address)
            assert int(told.wait_for(b"turn")) == os.getpid()
    assert {int(line.split()[1]) for line in told.history} == {os.getpid()}


def test_rule_13_handle_timeout_runs_in_the_master(strategy: str, told: Told) -> None:
    """handle_request() calls it when no client came in time."""

    def handle_timeout(self: Any) -> int:
        told.say("timeout", os.getpid())
        return 42

    with pool_of(
        answer_pid, strategy=strategy, handle_timeout=handle_timeout, timeout=0.01
    ) as server:
        assert server.handle_request() == 42
    assert int(told.wait_for(b"timeout")) == os.getpid()


def test_rule_14_a_pool_is_a_forking_server_and_not_a_threading_one() -> None:
    """Mercurial and Trac set `wsgi.multiprocess` by it; Django decides on keep-alive by it."""
    server = pool_of(answer_pid)
    kinds = [kind for kind in (ForkingMixIn, ThreadingMixIn) if isinstance(server, kind)]
    assert kinds == [ForkingMixIn]
    server.server_close()


def test_rule_14_active_children_are_the_workers(running: Any) -> None:
    """Programs read it to see whether any worker is running."""
    server = pool_of(answer_pid)
    before = server.active_children
    assert before is None
    with running(server):
        workers = idle_workers(server, 2)
        assert server.active_children == workers
        assert isinstance(server.active_children, set)
    assert not server.active_children


@pytest.mark.one_queue
def test_rule_15_a_worker_is_held_for_as_long_as_its_connection(
    strategy: str, running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """Two idle clients occupy two workers; the third waits in the backlog and is served next."""
    with running(pool_of(held, strategy=strategy, workers=2)) as server:
        with waiting_clients(server.server_address, 3) as clients:
            pids = {told.wait_for(b"entered") for _ in range(2)}
            assert len(pids) == 2
            states = [worker.state for worker in server.prefork_status()]
            assert states == ["busy", "busy"]
            gate.let_through()
            # Only now is a worker free for the third client.
            told.wait_for(b"entered")
            gate.open()
            assert {receive_all(client) for client in clients} == {
                b"served 0",
                b"served 1",
                b"served 2",
            }
        assert len(server.active_children) <= 2


def test_threads_that_are_alive_at_the_fork_are_named(caplog: Any, gate: Gate) -> None:
    """A lock held by one of them stays locked in the workers, so the log names the suspects."""
    clock = Call(gate.wait, "the program's own clock")
    try:
        with serving(pool_of(answer_pid, settings={"fork_from": "master"})) as server:
            ask(server.server_address)
    finally:
        gate.open()
        clock.result()
    warnings = [text for text in messages(caplog.records) if "Thread" in text]
    assert any("the program's own clock" in text for text in warnings)
    assert not any("serve_forever" in text for text in warnings), "the forking thread continues"


def test_a_worker_out_of_descriptors_leaves_clients_waiting_and_does_not_spin(
    running: Any, told: Told
) -> None:
    """When accept() fails with EMFILE, the listener stays readable: retrying at once would use a
    whole core."""
    turns = threading.Semaphore(0)
    with running(pool_of(exhausting(told), workers=1)) as server:
        [pid] = idle_workers(server, 1)
        assert ask(server.server_address, b"exhaust") == b"done"
        with connect(server.server_address) as client:
            client.sendall(b"x")
            before = cpu_seconds(pid)
            server.service_actions = turns.release
            wait_for_turns(turns, 60)
            assert cpu_seconds(pid) - before < 0.3
            os.kill(pid, signal.SIGUSR1)
            told.wait_for(b"released")
            assert int(receive_all(client)) == pid


def test_a_master_out_of_descriptors_loses_no_client_and_does_not_spin(
    strategy: str, elsewhere: Path
) -> None:
    """While no descriptor is free no loop may spin; afterwards all clients are served."""
    code = f"""
    import os, resource, threading
    from prefork import PreforkTCPServer, Settings

    def answer_pid(request, client_address, server):
        request.sendall(b"%d" % os.getpid())

    def ready(server):
        return [worker for worker in server.prefork_status() if worker.state == "idle"]

    class Server(PreforkTCPServer):
        max_children = 1
        prefork_settings = Settings(strategy={strategy!r})
        turns = 0
        taken = []

        def service_actions(self):
            super().service_actions()
            if not self.turns and {strategy in PERSISTENT} and not ready(self):
                return  # a worker that is forked later would inherit the descriptors taken here
            self.turns += 1
            if self.turns == 3:
                resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
                try:
                    while True:
                        self.taken.append(os.dup(0))
                except OSError:
                    print("full")
            if self.turns == 20:
                while self.taken:
                    os.close(self.taken.pop())
                print("room again")

    server = Server(("127.0.0.1", 0), answer_pid)
    print("serving on", server.server_address[1])
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    sys = __import__("sys")
    threading.Event().wait()
    """
    with program(code, elsewhere) as it:
        address = it.address()
        assert it.line() == "full"
        with connect(address) as client:
            workers_take = strategy in ("accept", "reuseport")
            if workers_take:
                [worker] = it.workers(1)
                assert int(receive_all(client)) == worker
                os.kill(worker, signal.SIGKILL)
            before = cpu_seconds(it.pid)
            assert it.line() == "room again"
            assert cpu_seconds(it.pid) - before < 0.5
            if not workers_take:
                assert int(receive_all(client)) != it.pid
        assert int(ask(address)) != it.pid
