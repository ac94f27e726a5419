"""Rules 16 and 17: workers that end inside a handler affect nothing else."""

import faulthandler
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import ask
from tests.support.pools import PERSISTENT, idle_workers, pool_of
from tests.support.programs import HOLDING, program

# -- rule 16: exits, crashes, and exceptions that are not an Exception -----------------------------


def leave_by_exit(request: Any, client_address: Any, server: Any) -> None:
    raise SystemExit(3)


def leave_by_interrupt(request: Any, client_address: Any, server: Any) -> None:
    raise KeyboardInterrupt


def leave_at_once(request: Any, client_address: Any, server: Any) -> None:
    os._exit(0)


def crash(request: Any, client_address: Any, server: Any) -> None:
    faulthandler.disable()  # pytest's would report the intended crash
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize("end", [leave_by_exit, leave_by_interrupt, leave_at_once, crash])
def test_rule_16_a_worker_that_ends_in_a_handler_loses_that_request_only(
    strategy: str, running: Any, errors: Any, end: Any
) -> None:
    """It is replaced; other clients, served or waiting, do not notice."""

    def handler(request: Any, client_address: Any, server: Any) -> None:
        command = request.recv(1)
        request.sendall(b"begun ")
        if command == b"!":
            end(request, client_address, server)
        request.sendall(b"%d" % os.getpid())

    with running(pool_of(handler, strategy=strategy)) as server:
        if strategy in PERSISTENT:
            idle_workers(server, 2)
        for _ in range(3):
            assert ask(server.server_address, b"!") == b"begun "
            words = ask(server.server_address, b"x").split()
            assert words[0] == b"begun"
            assert int(words[1]) != os.getpid()
        if strategy in PERSISTENT:
            idle_workers(server, 2)
        assert server.fileno() > 0
    if strategy in PERSISTENT or end is crash:
        assert len(errors()) == 3
    errors()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, ValueError, MemoryError])
def test_rule_16_an_error_of_handle_error_itself_ends_the_worker_only(
    strategy: str, running: Any, errors: Any, error: type[BaseException]
) -> None:
    """werkzeug's `passthrough_errors` and IDLE raise there on purpose."""

    def handle_error(self: Any, request: Any, client_address: Any) -> None:
        raise error("on purpose")

    def handler(request: Any, client_address: Any, server: Any) -> None:
        if request.recv(1) == b"!":
            raise ValueError("a bug")
        request.sendall(b"fine")

    server = pool_of(handler, strategy=strategy, handle_error=handle_error)
    with running(server):
        assert ask(server.server_address, b"!") == b""
        assert ask(server.server_address, b"x") == b"fine"
        if strategy in PERSISTENT:
            idle_workers(server, 2)
    errors()


def test_rule_16_a_worker_never_unwinds_into_the_callers_stack(
    strategy: str, elsewhere: Path
) -> None:
    """No `finally`, `with` or `except` of the program around serve_forever() may run in it."""
    code = """
import atexit
master = os.getpid()
atexit.register(lambda: print("atexit in", "master" if os.getpid() == master else "worker"))

def handler(request, client_address, server):
    raise {"s": SystemExit, "k": KeyboardInterrupt, "g": GeneratorExit}[request.recv(1).decode()]

server.RequestHandlerClass = handler
try:
    server.serve_forever()
except BaseException as error:
    print(type(error).__name__, "in", "master" if os.getpid() == master else "worker")
finally:
    print("finally in", "master" if os.getpid() == master else "worker")
    server.server_close()
"""
    with program(HOLDING.format(strategy=strategy) + code, elsewhere) as it:
        address = it.address()
        for letter in (b"s", b"k", b"g"):
            assert ask(address, letter) == b""
        os.kill(it.pid, signal.SIGINT)
        assert it.ends() == 0
        assert it.remaining_output().splitlines() == [
            "KeyboardInterrupt in master",
            "finally in master",
            "atexit in master",
        ]


def test_rule_17_workers_run_no_exit_handlers_and_wait_for_no_threads(
    strategy: str, elsewhere: Path
) -> None:
    """Exit handlers would remove the program's pid file, temporary folders and coverage data."""
    code = """
import atexit, tempfile, threading
folder = tempfile.TemporaryDirectory()
atexit.register(print, "exit handler")

def handler(request, client_address, server):
    atexit.register(print, "exit handler of the worker")
    threading.Thread(target=threading.Event().wait).start()
    request.sendall(b"%d" % os.path.isdir(folder.name))

server.RequestHandlerClass = handler
server.prefork_settings = Settings(strategy={strategy!r}, max_requests=1)
threading.Thread(target=server.serve_forever, daemon=True).start()
signal.sigwait([signal.SIGUSR1])
server.shutdown()
server.server_close()
print("folder", os.path.isdir(folder.name))
"""
    block = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
    text = block + (HOLDING + code).format(strategy=strategy)
    with program(text, elsewhere) as it:
        address = it.address()
        assert [ask(address) for _ in range(4)] == [b"1"] * 4
        os.kill(it.pid, signal.SIGUSR1)
        assert it.ends() == 0
        assert it.remaining_output() == "folder True\nexit handler\n"


def test_rule_17_what_is_printed_reaches_a_pipe_once(strategy: str, elsewhere: Path) -> None:
    """Under a supervisor, standard output is a pipe, and so it is buffered: a fork must not copy
    what is in the buffer, and the end of a worker must not lose it."""
    code = """
import io
sys.stdout = io.TextIOWrapper(open(1, "wb", buffering=8192, closefd=False))
print("printed before")

def handler(request, client_address, server):
    print("printed for", request.recv(10).decode())

server.RequestHandlerClass = handler
try:
    server.serve_forever()
except KeyboardInterrupt:
    server.server_close()
"""
    with program(HOLDING.format(strategy=strategy) + code, elsewhere) as it:
        address = it.address()
        for number in range(5):
            ask(address, b"%d" % number)
        it.signal_group(signal.SIGINT)
        assert it.ends() == 0
        lines = it.remaining_output().splitlines()
        assert lines[0] == "printed before"
        assert sorted(lines[1:]) == [f"printed for {number}" for number in range(5)]
