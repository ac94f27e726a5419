"""Helpers for the tests with real workers."""

import contextlib
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prefork import PreforkMixIn, PreforkTCPServer, Settings, TCPServer, ThreadingMixIn
from tests.support.announcements import Gate, Told
from tests.support.children import child_running, state_of
from tests.support.clients import connect, receive_all
from tests.support.deadlines import ENDING, EXCHANGE, stretched, within
from tests.support.polling import eventually
from tests.support.serving import start_serving

PERSISTENT = ("accept", "handoff", "reuseport")
"""The strategies with persistent workers; `fork` has a process for each request instead."""

Handler = Callable[[Any, Any, Any], None]

LOOPBACK = ("127.0.0.1", 0)


class Threaded(PreforkMixIn, ThreadingMixIn, TCPServer):
    """A pool with threads, combined in the documented way."""


def pool_of(
    handler: Any,
    *,
    strategy: str = "accept",
    workers: int = 2,
    base: Any = PreforkTCPServer,
    address: Any = LOOPBACK,
    settings: dict[str, Any] | None = None,
    **attributes: Any,
) -> Any:
    """Make a pool server that listens; *attributes* become those of its class."""
    if strategy == "reuseport" and base.address_family == socket.AF_UNIX:
        pytest.skip("Unix sockets have no SO_REUSEPORT groups")
    attributes.setdefault("max_children", workers)
    attributes["prefork_settings"] = Settings(strategy=strategy, **(settings or {}))  # type: ignore[arg-type]
    return type("Pool", (base,), attributes)(address, handler)


def answer_pid(request: Any, client_address: Any, server: Any) -> None:
    """A request handler that answers with the pid of its process."""
    request.sendall(b"%d" % os.getpid())


def echo(request: Any, client_address: Any, server: Any) -> None:
    """A request handler that sends back the first data it receives."""
    request.sendall(request.recv(65536))


def exhausting(told: Told) -> Handler:
    """Make a request handler that answers with its pid, except to the request "exhaust".

    That one takes all descriptors of its process, until SIGUSR1; then it announces "released".
    """
    taken: list[int] = []

    def release(number: int, frame: object) -> None:
        while taken:
            os.close(taken.pop())
        told.say("released")

    def handler(request: Any, client_address: Any, server: Any) -> None:
        if request.recv(10) != b"exhaust":
            request.sendall(b"%d" % os.getpid())
            return
        signal.signal(signal.SIGUSR1, release)
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        own = os.dup(request.fileno())
        request.close()
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            os.write(own, b"done")
            os.dup2(0, own)
            taken.append(own)

    return handler


def states(server: Any) -> list[str]:
    return [status.state for status in server.prefork_status()]


def idle_workers(server: Any, count: int) -> set[int]:
    """Wait until the pool has exactly *count* workers, all idle; return their pids."""

    def all_idle() -> set[int]:
        status = server.prefork_status()
        if [worker.state for worker in status] != ["idle"] * count:
            return set()
        return {worker.pid for worker in status}

    return eventually(all_idle, what=f"{count} idle workers ({states(server)} now)")


def wait_until_gone(pids: set[int], seconds: float = ENDING) -> None:
    """Wait until none of these processes is left, not even as a zombie."""
    eventually(lambda: not any(state_of(pid) for pid in pids), seconds, what="end of all workers")


def refuses(address: Any) -> bool:
    """Whether no process listens at this address."""
    try:
        connect(address).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except ConnectionResetError:
        return False  # the listener was closed during the attempt
    return False


@contextlib.contextmanager
def waiting_clients(address: Any, count: int) -> Iterator[list[socket.socket]]:
    """Connections in the backlog, each of which has sent its number as a request."""
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(count):
            client = stack.enter_context(connect(address))
            client.sendall(b"%d" % number)
            client.shutdown(socket.SHUT_WR)
            clients.append(client)
        yield clients


def answer(client: socket.socket) -> bytes:
    """The whole answer of the server; empty if it resets the connection."""
    try:
        return receive_all(client)
    except ConnectionError:
        return b""


def served(count: int) -> list[bytes]:
    """The answers of the handler `held` to *count* `waiting_clients`."""
    return [b"served %d" % number for number in range(count)]


def answers_if_stopped(
    server: Any,
    told: Told,
    gate: Gate,
    *,
    clients: int,
    entered: int = 1,
    meanwhile: Callable[[], object] = lambda: None,
) -> list[bytes]:
    """Stop a server while it serves some clients and others wait; return the answers to all.

    *entered* of them are in the handler, which waits at the gate; the gate opens after the loop has
    ended.
    """
    thread = start_serving(server)
    with waiting_clients(server.server_address, clients) as waiting:
        for _ in range(entered):
            told.wait_for(b"entered")
        meanwhile()
        thread.shut_down()
        gate.open()
        within(server.server_close)
        return [answer(client) for client in waiting]


def wait_for_turns(turns: threading.Semaphore, count: int) -> None:
    """Wait for *count* passes of the loop; `turns.release` is the server's `service_actions`."""
    for _ in range(count):
        assert turns.acquire(timeout=stretched(EXCHANGE)), "the loop has stopped"


@contextlib.contextmanager
def serving_in_child(server: Any) -> Iterator[int]:
    """Serve in the main thread of a child process, which no client of the test shares.

    The value of the block is its pid; at the end it gets SIGTERM, drains and must exit with 0.
    """

    def serve() -> None:
        signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
        told.say("ready")
        with server:
            server.serve_forever()

    told = Told()
    try:
        with child_running(serve) as child:
            server.socket.close()
            told.wait_for(b"ready")
            yield child.pid
            child.signal(signal.SIGTERM)
            assert child.exit_code() == 0
    finally:
        told.close()


def messages(records: Any, level: int = 0) -> list[str]:
    """The messages that the project has logged at *level* or above."""
    return [r.getMessage() for r in records if r.name == "prefork" and r.levelno >= level]


def events(records: Any, name: str) -> list[Any]:
    """The log records of the event *name*."""
    return [r for r in records if r.name == "prefork" and getattr(r, "event", "") == name]


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process has used so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
