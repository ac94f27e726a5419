"""What a pool reports: status, labels, process titles, and a sentence for each death."""

import faulthandler
import logging
import os
import re
import signal
from typing import Any

import pytest

import prefork
from tests.support.announcements import Gate, Told
from tests.support.children import command_of
from tests.support.clients import ask, connect, receive_all
from tests.support.polling import eventually
from tests.support.pools import (
    PERSISTENT,
    Handler,
    answer_pid,
    echo,
    idle_workers,
    messages,
    pool_of,
    states,
)


def test_status_says_what_each_worker_does(
    strategy: str, running: Any, told: Told, gate: Gate
) -> None:
    """Operators need to know which worker is busy, since when, with which client and request."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        prefork.label("GET /index.html")
        told.say("entered", os.getpid())
        gate.wait()

    with running(pool_of(handler, strategy=strategy)) as server:
        if strategy in PERSISTENT:
            idle_workers(server, 2)
        with connect(server.server_address) as client:
            pid = int(told.wait_for(b"entered"))
            [busy] = [worker for worker in server.prefork_status() if worker.pid == pid]
            assert busy.state == "busy"
            assert busy.label == "GET /index.html"
            assert busy.peer == "{}:{}".format(*client.getsockname())
            assert 0 <= busy.since <= busy.age < 60
            assert busy.in_flight == 1
            assert busy.served == 0
            assert busy.slot in (0, 1)
            gate.open()
            receive_all(client)
        if strategy in PERSISTENT:
            idle_workers(server, 2)
            [after] = [worker for worker in server.prefork_status() if worker.pid == pid]
            assert after.served == 1
            assert after.busy > 0
            assert (after.peer, after.label, after.in_flight) == ("", "", 0)


def test_a_label_is_forgotten_with_its_request(running: Any, told: Told, gate: Gate) -> None:
    """The next request must not be reported with the label of the one before."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        command = request.recv(10)
        if command == b"label":
            prefork.label("the first")
        else:
            told.say("entered")
            gate.wait()

    with running(pool_of(handler, workers=1)) as server:
        ask(server.server_address, b"label")
        with connect(server.server_address) as client:
            client.sendall(b"wait")
            told.wait_for(b"entered")
            [worker] = server.prefork_status()
            assert (worker.state, worker.label) == ("busy", "")
            gate.open()


def test_a_label_outside_of_a_worker_is_ignored() -> None:
    """Handlers that use labels also run in servers without a pool."""
    prefork.label("ignored")


def test_long_and_strange_labels_are_harmless(running: Any, told: Told, gate: Gate) -> None:
    """Labels may contain what a client has sent."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        prefork.label("ä\0\udcff" * 200)
        told.say("entered")
        gate.wait()

    with running(pool_of(handler)) as server, connect(server.server_address) as client:
        told.wait_for(b"entered")
        assert any("ä" in worker.label for worker in server.prefork_status())
        gate.open()
        receive_all(client)


def test_status_of_a_server_that_does_not_serve_is_empty() -> None:
    with pool_of(answer_pid) as server:
        assert server.prefork_status() == []
    assert server.prefork_status() == []


def test_a_retiring_worker_is_shown_as_such(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """A retiring worker is still busy with its last request."""
    with running(pool_of(held, workers=2)) as server:
        idle_workers(server, 2)
        with connect(server.server_address) as one, connect(server.server_address) as two:
            for client in (one, two):
                client.sendall(b"x")
                told.wait_for(b"entered")
            server.max_children = 1
            eventually(lambda: "retiring" in states(server), what="a retiring worker")
            gate.open()
            assert receive_all(one) == receive_all(two) == b"served x"


def test_titles_show_what_a_worker_does(
    running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    """`ps` is the first thing that an operator looks at."""
    pytest.importorskip("setproctitle")
    with running(pool_of(held, workers=1, settings={"name": "shop"})) as server:
        [pid] = idle_workers(server, 1)
        idle = "prefork: worker 0 [shop] idle"
        eventually(lambda: command_of(pid) == f"{idle}, 0 served", what="a title")
        with connect(server.server_address) as client:
            client.sendall(b"x")
            told.wait_for(b"entered")
            gate.open()
            receive_all(client)
        eventually(lambda: command_of(pid) == f"{idle}, 1 served", what="a title")


def test_the_title_of_a_long_request_says_busy(
    strategy: str, running: Any, told: Told, gate: Gate
) -> None:
    """The title shows which worker hangs, and with which client."""
    pytest.importorskip("setproctitle")

    def handler(request: Any, client_address: Any, server: Any) -> None:
        told.say("entered", os.getpid(), command_of(os.getpid()))
        gate.wait()

    server = pool_of(handler, strategy=strategy, workers=1)
    with running(server), connect(server.server_address) as client:
        pid, _, text = told.wait_for(b"entered").decode().partition(" ")
        port = client.getsockname()[1]
        assert text == f"prefork: worker 0 busy 127.0.0.1:{port}, 0 served"
        assert command_of(int(pid)) == text
        gate.open()


def test_titles_may_be_switched_off(strategy: str, running: Any) -> None:
    """Programs may set titles of their own."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(command_of(os.getpid()).encode())

    server = pool_of(handler, strategy=strategy, settings={"process_titles": False})
    with running(server):
        assert ask(server.server_address).decode() == command_of(os.getpid())


def test_the_title_of_the_master_is_left_to_the_program(running: Any) -> None:
    """A library must not rename the process of its program."""
    before = command_of(os.getpid())
    with running(pool_of(answer_pid)) as server:
        ask(server.server_address)
        assert command_of(os.getpid()) == before
    assert command_of(os.getpid()) == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_death_is_reported_in_one_sentence(
    strategy: str, running: Any, told: Told, gate: Gate, errors: Any, number: signal.Signals
) -> None:
    """It says which slot and process, how, what it was serving for how long, what happens next."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        faulthandler.disable()  # pytest's would report the intended crash
        prefork.label("GET /big")
        told.say("entered", os.getpid())
        gate.wait()

    with running(pool_of(handler, strategy=strategy, workers=1)) as server:
        with connect(server.server_address) as client:
            pid = int(told.wait_for(b"entered"))
            os.kill(pid, number)
            assert receive_all(client) == b""
            port = client.getsockname()[1]
        [sentence] = eventually(errors, what="a sentence")
    next_step = "replaced now" if strategy in PERSISTENT else "not replaced"
    assert re.fullmatch(
        rf"Worker 0 \(pid {pid}\) was killed by {number.name} while serving "
        rf"127\.0\.0\.1:{port} and GET /big for \d+\.\d+ s; it is {next_step}\.",
        sentence,
    ), sentence


def test_an_exit_during_a_request_is_reported_whatever_the_exit_code(
    strategy: str, running: Any, errors: Any
) -> None:
    """`os._exit(0)` in a handler looks like a clean exit, but loses a request."""
    with running(pool_of(lambda *_: os._exit(0), strategy=strategy, workers=1)) as server:
        assert ask(server.server_address) == b""
        [sentence] = eventually(errors, what="a sentence")
    assert "exited with code 0 while serving 127.0.0.1:" in sentence


def test_normal_operation_logs_nothing_above_debug(
    strategy: str, running: Any, caplog: Any
) -> None:
    """Workers that start and leave as planned are not reported."""
    caplog.set_level(logging.DEBUG, "prefork")
    with running(pool_of(echo, strategy=strategy)) as server:
        for _ in range(5):
            ask(server.server_address, b"x")
    logged = [text for text in messages(caplog.records, logging.INFO) if "Thread" not in text]
    assert logged == []
