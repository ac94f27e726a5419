"""How `prefork serve` ends: signals, exit codes, and what is left behind: nothing."""

import os
import re
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from prefork.master.strategies import STRATEGIES
from tests.cli.kit import HERE, Program
from tests.support.announcements import Gate, Told
from tests.support.children import children_of, exit_code, reap_orphans
from tests.support.clients import ask, connect, receive_all
from tests.support.polling import eventually

Start = Callable[..., Program]

TCP = ("--bind", "tcp://127.0.0.1:0")
TWO = (*TCP, "--max-children", 2)


def outcome(client: socket.socket) -> bytes:
    try:
        return receive_all(client)
    except ConnectionResetError:
        return b"reset"


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_waiting_clients_are_served_before_the_end(
    serve: Start, told: Told, gate: Gate, strategy: str, number: int
) -> None:
    server = serve("AtGate", *TWO, "--strategy", strategy)
    address = server.address()
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(address)) for _ in range(20)]
        told.wait_for(b"entered")  # with `reuseport` they may all wait for one worker
        server.signal(number)
        server.wait_for("Stopping")
        gate.open()
        assert [outcome(client) for client in clients] == [b"served"] * 20, server.err
    assert server.exit_code() == 0
    assert "Stopped; every waiting request was served." in server.err


# Without `reuseport`, under which all four clients may meet the same worker.
@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"reuseport"}))
def test_a_second_signal_ends_at_once(serve: Start, told: Told, strategy: str) -> None:
    server = serve("AtGate", *TWO, "--strategy", strategy)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(server.address())) for _ in range(4)]
        for _ in range(2):
            told.wait_for(b"entered")
        server.signal(signal.SIGTERM)
        server.wait_for("Stopping")
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 1
        assert {outcome(client) for client in clients} <= {b"", b"reset"}
    assert told.so_far() == []
    assert re.search(r"Forced shutdown: \d requests in progress were aborted\.", server.err)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_graceful_timeout_ends_requests_that_do_not_end(
    serve: Start, told: Told, strategy: str
) -> None:
    server = serve("AtGate", *TWO, "--strategy", strategy, "--graceful-timeout", 0.05)
    with connect(server.address()) as client:
        told.wait_for(b"entered")
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 1
        assert outcome(client) in (b"", b"reset")
    assert re.search(r"while serving 127\.0\.0\.1:\d+", server.err)


def test_an_unneeded_graceful_timeout_does_not_force(serve: Start, told: Told, gate: Gate) -> None:
    server = serve("AtGate", *TWO, "--graceful-timeout", 60)
    with connect(server.address()) as client:
        told.wait_for(b"entered")
        server.signal(signal.SIGTERM)
        server.wait_for("Stopping")
        gate.open()
        assert outcome(client) == b"served"
    assert server.exit_code() == 0


def test_ctrl_c_ends_every_process_without_a_traceback(
    program: Start, told: Told, gate: Gate
) -> None:
    server = program("serve", "handlers:AtGate", "--app-dir", HERE, *TWO)
    with connect(server.address()) as client:
        told.wait_for(b"entered")
        os.killpg(server.pid, signal.SIGINT)
        server.wait_for("Stopping")
        gate.open()
        assert outcome(client) == b"served"
    assert server.exit_code() == 0
    assert "Traceback" not in server.err
    assert "KeyboardInterrupt" not in server.err


def test_a_handler_can_ask_for_the_end(serve: Start) -> None:
    server = serve("stop", *TWO)
    assert ask(server.address()) == b"served"
    assert server.exit_code() == 0


def test_no_worker_can_start(serve: Start) -> None:
    server = serve("CannotStart", *TWO)
    assert server.exit_code() == 3
    assert 'raise RuntimeError("there is no database")' in server.err
    assert "No worker could start" in server.err


def test_all_pools_end_when_one_of_them_cannot_start(serve: Start) -> None:
    server = serve("SecondCannotStart", *TCP, "--bind", "tcp://127.0.0.1:0")
    assert server.exit_code() == 3
    address = server.address()
    with pytest.raises(ConnectionRefusedError):
        connect(address)


def test_a_killed_worker_is_replaced_and_named(serve: Start) -> None:
    server = serve("Echo", *TCP, "--max-children", 1)
    first = int(ask(server.address()).split()[0])
    os.kill(first, signal.SIGKILL)
    server.wait_for(rf"Worker 0 \(pid {first}\) was killed by SIGKILL .*it is replaced")
    assert int(ask(server.address()).split()[0]) != first
    server.signal(signal.SIGTERM)
    assert server.exit_code() == 0


def test_nothing_is_left_of_a_master_that_was_killed(
    serve: Start, told: Told, gate: Gate, short_path: Path
) -> None:
    path = short_path / "s"
    binds = ("--bind", f"unix://{path}")
    server = serve("AtGate", *TWO, *binds)
    address = server.address()
    server.wait_for("on unix://")
    with connect(address) as client:
        busy = int(told.wait_for(b"entered"))
        idle = eventually(lambda: workers(server, 4)) - {busy}
        server.signal(signal.SIGKILL)
        server.exit_code()
        reap_orphans(*idle)  # at once, but for the one that has a request in hand
        gate.open()
        assert outcome(client) == b"served"
        exit_code(busy)
    with pytest.raises(ConnectionRefusedError):
        connect(address)
    again = serve("Echo", "--bind", f"tcp://127.0.0.1:{address[1]}", *binds)
    again.wait_for("on unix://")
    assert ask(str(path), b"hello").endswith(b"hello")


def workers(server: Program, count: int) -> set[int]:
    pids = children_of(server.pid)
    return pids if len(pids) == count else set()


def test_a_busy_address_is_refused_with_a_sentence(serve: Start, short_path: Path) -> None:
    path = short_path / "s"
    first = serve("Echo", *TCP, "--bind", f"unix://{path}", "--max-children", 1)
    port = first.address()[1]
    first.wait_for("on unix://")
    for bind in (f"tcp://127.0.0.1:{port}", f"unix://{path}"):
        second = serve("Echo", "--bind", bind)
        assert second.exit_code() == 2
        assert (
            second.err
            == f"prefork: Cannot listen on {bind}: another program is already listening on it.\n"
        )
    assert ask(str(path), b"hello").endswith(b"hello")
    assert "Exception" not in first.err


def test_bound_addresses_are_released_when_a_later_one_cannot_be_bound(
    serve: Start, short_path: Path
) -> None:
    path = short_path / "s"
    server = serve("Echo", "--bind", f"unix://{path}", "--bind", "unix:///no/such/folder/s")
    assert server.exit_code() == 2
    assert "there is no folder /no/such/folder" in server.err
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Ecko", r"There is no 'Ecko' in module 'handlers' \(.*\)\. Did you mean 'Echo'\?"),
        ("tolt", r"There is no 'tolt' in module 'handlers' \(.*\)\."),
        ("not_callable", "handlers:not_callable is neither a request handler nor a server class"),
        ("Bare", "handlers:Bare needs a request handler: add --handler MODULE:HANDLER"),
        ("Broken", r"handlers:Broken cannot be constructed: LookupError: no licence \(.*:\d+\)"),
    ],
)
def test_an_unusable_target_is_refused_with_a_sentence(
    serve: Start, name: str, sentence: str
) -> None:
    server = serve(name, *TCP)
    assert server.exit_code() == 2
    assert re.fullmatch(f"prefork: {sentence}.*\n", server.err)
    assert server.out == ""


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("\n\n1 / 0", "ZeroDivisionError: division by zero"),
        ("import json\njson.loads('x')", "JSONDecodeError"),
        ("def (", "SyntaxError"),
        ("raise SystemExit('no')", "SystemExit: no"),
    ],
)
def test_an_error_inside_the_users_module_says_where(
    forked: Start, folder: Path, source: str, sentence: str
) -> None:
    (folder / "app.py").write_text(source)
    server = forked("serve", "app:Handler")
    assert server.exit_code() == 2
    assert sentence in server.err
    assert f"({folder}/app.py:{len(source.splitlines())})" in server.err
    assert "Traceback" not in server.err
