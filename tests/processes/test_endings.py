"""Rules 8 and 9: how the master ends, and what signals do to workers."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.announcements import Told
from tests.support.children import children
from tests.support.clients import ask, connect, receive_all
from tests.support.polling import eventually
from tests.support.pools import (
    PERSISTENT,
    answer,
    answer_pid,
    idle_workers,
    pool_of,
    refuses,
    waiting_clients,
)
from tests.support.programs import AT_ONCE, HOLDING, Program, first_word, orphans_end, program
from tests.support.serving import start_serving

PLAIN_END = "server.serve_forever()"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_rule_8_idle_workers_end_with_the_master_however_it_ends(
    number: int, elsewhere: Path
) -> None:
    """Reloaders and daemons get killed; a worker that stayed would keep serving old code."""
    with program(HOLDING.format(strategy="accept") + PLAIN_END, elsewhere) as it:
        address = it.address()
        workers = it.workers(2)
        ask(address, b"x")
        os.kill(it.pid, number)
        assert it.ends() == -number
        assert orphans_end(workers, AT_ONCE)
        assert refuses(address)


def test_rule_8_a_busy_worker_finishes_its_request_when_the_master_is_gone(
    strategy: str, elsewhere: Path
) -> None:
    """Its client gets the whole answer; then the port is free."""
    with program(HOLDING.format(strategy=strategy) + PLAIN_END, elsewhere) as it:
        address = it.address()
        with connect(address) as client:
            client.sendall(b"h")
            busy = first_word(client)
            if strategy in PERSISTENT:
                it.workers(2)
            workers = it.workers(2 if strategy in PERSISTENT else 1)
            os.kill(it.pid, signal.SIGKILL)
            it.ends()
            assert orphans_end(workers - {busy}, AT_ONCE)
            client.sendall(b"!")
            assert receive_all(client) == b"served"
        assert orphans_end({busy})
        assert refuses(address)


@pytest.mark.parametrize(
    "end", ["sys.exit(0)", "os._exit(0)", "raise ValueError('bug')", "os.execv('/bin/true', ['x'])"]
)
def test_rule_8_workers_end_when_the_program_exits_without_closing(
    end: str, elsewhere: Path
) -> None:
    """Django exits by `sys.exit` and never closes; its reloader calls execv() on itself."""
    code = f"""
    import threading
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    import signal
    signal.sigwait([signal.SIGUSR1])
    {end}
    """
    code = "\n".join(line.strip() for line in code.splitlines())
    block = "\nimport signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
    with program(block + HOLDING.format(strategy="accept") + code, elsewhere) as it:
        address = it.address()
        ask(address, b"x")
        workers = it.workers(2) | it.fork_servers()
        os.kill(it.pid, signal.SIGUSR1)
        it.ends()
        assert orphans_end(workers, AT_ONCE)
        assert refuses(address)


def wait_for_replacement(it: Program, victim: int) -> None:
    eventually(lambda: victim not in it.workers(4), what="replacement")


def test_rule_8_two_pools_in_one_program_end_with_it_too(elsewhere: Path) -> None:
    """A worker of one pool inherits the master's channels to the other pool: it must close them.

    Otherwise, after a replacement, workers of the two pools would keep each other alive.
    """
    code = """
    import os, threading
    from prefork import PreforkTCPServer

    def answer_pid(request, client_address, server):
        request.sendall(b"%d" % os.getpid())

    class Server(PreforkTCPServer):
        max_children = 2

    servers = [Server(("127.0.0.1", 0), answer_pid) for _ in range(2)]
    print("serving on", servers[0].server_address[1])
    print("serving on", servers[1].server_address[1])
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()
    """
    with program(code, elsewhere) as it:
        addresses = it.address(), it.address()
        ask(addresses[0]), ask(addresses[1])
        for address in addresses:  # replacements are forked last and inherit most
            before = it.workers(4)
            victim = int(ask(address))
            os.kill(victim, signal.SIGKILL)
            wait_for_replacement(it, victim)
            assert before - it.workers(4) == {victim}
        workers = it.workers(4) | it.fork_servers()
        os.kill(it.pid, signal.SIGKILL)
        it.ends()
        assert orphans_end(workers, AT_ONCE)
        assert refuses(addresses[0])
        assert refuses(addresses[1])


def test_one_of_two_pools_frees_its_port_while_the_other_keeps_serving(
    running: Any, errors: Any
) -> None:
    """A worker must not hold the listener of another pool, whichever pool started first."""
    first = pool_of(answer_pid)
    with running(first):
        before = idle_workers(first, 2)
        second = pool_of(answer_pid)
        with running(second):
            idle_workers(second, 2)
            ask(first.server_address)
            os.kill(min(before), signal.SIGKILL)
            eventually(lambda: min(before) not in idle_workers(first, 2), what="replacement")
        assert refuses(second.server_address)
        third = pool_of(answer_pid)
        thread = start_serving(third)
        idle_workers(third, 2)
    assert refuses(first.server_address)
    thread.shut_down()
    third.server_close()
    assert len(errors()) == 1


@pytest.mark.parametrize("block", ["server.serve_forever()", "with server: server.serve_forever()"])
def test_rule_9_ctrl_c_prints_at_most_one_traceback_and_leaves_no_process(
    strategy: str, block: str, elsewhere: Path
) -> None:
    """The signal reaches the workers too: they finish their requests and print nothing."""
    with program(HOLDING.format(strategy=strategy) + block, elsewhere) as it:
        address = it.address()
        with connect(address) as client:
            client.sendall(b"h")
            worker = first_word(client)
            it.signal_group(signal.SIGINT)
            if block != PLAIN_END:
                client.sendall(b"!")
                assert receive_all(client) == b"served"
                assert it.ends() == -signal.SIGINT
            else:  # the program ends at once, the worker after its request
                assert it.ends() == -signal.SIGINT
                client.sendall(b"!")
                assert receive_all(client) == b"served"
                assert orphans_end({worker})
        it.remaining_output()
        errors = it.errors()
        assert errors.count("Traceback") == 1
        assert errors.count("KeyboardInterrupt") == 1
        assert refuses(address)


@pytest.mark.one_queue
def test_rule_9_ctrl_c_that_the_program_handles_leaves_no_traceback(
    strategy: str, elsewhere: Path
) -> None:
    """The usual main program: try, serve_forever, except KeyboardInterrupt, server_close."""
    code = """
try:
    server.serve_forever()
except KeyboardInterrupt:
    print("interrupted")
server.server_close()
print("closed")
"""
    with program(HOLDING.format(strategy=strategy) + code, elsewhere) as it:
        address = it.address()
        with connect(address) as one, connect(address) as two:
            for client in (one, two):  # all workers are busy, so further clients must wait
                client.sendall(b"h")
                first_word(client)
            with waiting_clients(address, 3) as clients:
                it.signal_group(signal.SIGINT)
                assert it.line() == "interrupted"  # while both workers are still busy
                for client in (one, two):
                    client.sendall(b"!")
                    assert receive_all(client) == b"served"
                assert [answer(each)[-6:] for each in clients] == [b"served"] * 3
        assert it.ends() == 0
        assert it.remaining_output() == "closed\n"
        assert it.errors() == ""


def test_rule_9_ctrl_c_while_a_worker_is_forked_does_not_kill_it(running: Any) -> None:
    """The signal comes between the fork and the set-up of the worker's signal handlers.

    The worker used to die with KeyboardInterrupt and a traceback in the log.
    """
    parent = os.getpid()

    def signal_the_new_worker() -> None:
        if os.getpid() != parent and active:
            os.kill(os.getpid(), signal.SIGINT)

    active = [True]
    os.register_at_fork(after_in_child=signal_the_new_worker)
    try:
        with running(pool_of(answer_pid)) as server:
            workers = idle_workers(server, 2)
            assert int(ask(server.server_address)) in workers
    finally:
        active.clear()


def test_rule_9_signal_handlers_of_the_program_do_not_run_in_workers(elsewhere: Path) -> None:
    """A handler that compares pids or calls shutdown() in a thread would do the wrong thing
    there."""
    code = """
import signal, threading
def on_signal(number, frame):
    print("handler in", "master" if os.getpid() == master else "worker")
    threading.Thread(target=server.shutdown).start()
master = os.getpid()
signal.signal(signal.SIGINT, on_signal)
signal.signal(signal.SIGTERM, on_signal)
server.serve_forever()
server.server_close()
"""
    for number in (signal.SIGINT, signal.SIGTERM):
        with program(HOLDING.format(strategy="accept") + code, elsewhere) as it:
            ask(it.address(), b"x")
            it.workers(2)
            it.signal_group(number)
            assert it.ends() == 0
            assert it.remaining_output() == "handler in master\n"
            assert it.errors() == ""


def test_rule_9_a_worker_that_gets_sigterm_leaves_after_its_request(
    running: Any, held: Any, told: Told, gate: Any
) -> None:
    """A supervisor or an administrator may end a single worker: no request is lost."""
    with running(pool_of(held, workers=1)) as server, connect(server.server_address) as client:
        client.sendall(b"x")
        pid = int(told.wait_for(b"entered"))
        os.kill(pid, signal.SIGTERM)
        gate.open()
        assert receive_all(client) == b"served x"
        assert ask(server.server_address, b"y") == b"served y"
        assert int(told.wait_for(b"entered")) != pid


def test_no_worker_outlives_the_test_program(running: Any) -> None:
    """The plain case, in which the pids of all processes are known."""
    with running(pool_of(answer_pid)) as server:
        assert idle_workers(server, 2) <= children()
    assert children() == set()
