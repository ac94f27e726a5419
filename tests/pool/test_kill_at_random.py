"""`kill -9` of workers at random, and of the master, under load.

The first runs for some three seconds, or for as many as PREFORK_TEST_KILL_SECONDS says: 20 to see
what the project promises.
"""

import contextlib
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.pool.kit import STANDING, answer, idle_workers, pool_of, refuses
from tests.pool.programs import orphans_end, program
from tests.support.children import children, has_ended
from tests.support.clients import connect
from tests.support.deadlines import HANG, Deadline, within
from tests.support.polling import eventually
from tests.support.serving import start_serving

SECONDS = float(os.environ.get("PREFORK_TEST_KILL_SECONDS", "3"))
BETWEEN_KILLS = 0.1
WORKERS = 4
CLIENTS = 8


def slow_who(request: Any, client_address: Any, server: Any) -> None:
    """Says who it is as soon as it is entered, works a little, and says that it is done."""
    request.sendall(b"%d " % os.getpid())
    end = time.monotonic() + 0.005
    while time.monotonic() < end:
        pass
    request.sendall(b"done")


class Load(threading.Thread):
    """A client that asks again and again; it notes each answer that was not complete."""

    def __init__(self, address: Any, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.stop = stop
        self.served = 0
        self.broken: list[bytes] = []
        self.refused: list[BaseException] = []

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                with connect(self.address) as client:
                    client.settimeout(HANG)
                    text = answer(client)
            except OSError as error:
                self.refused.append(error)
                return
            if text.endswith(b" done"):
                self.served += 1
            else:
                self.broken.append(text)


@contextlib.contextmanager
def load(address: Any) -> Iterator[list[Load]]:
    stop = threading.Event()
    clients = [Load(address, stop) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        stop.set()
        for client in clients:
            client.join(HANG)
            assert not client.is_alive()


def descriptors() -> list[str]:
    """What is open in this process, the master's, but for the sockets of clients."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{name}").partition(":")[0])
    return sorted(found)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
def test_workers_killed_at_random_cost_their_own_request_only(strategy: str, errors: Any) -> None:
    """Nobody else notices, and nothing is left of the dead."""
    server = pool_of(slow_who, strategy=strategy, workers=WORKERS)
    thread = start_serving(server)
    if strategy in STANDING:
        idle_workers(server, WORKERS)
    before = descriptors()
    killed: set[int] = set()
    with load(server.server_address) as clients:
        pause = threading.Event()
        deadline = Deadline(SECONDS)
        while not deadline.passed:
            pause.wait(BETWEEN_KILLS)  # the rhythm of the kills; nothing is waited for here
            workers = server.active_children
            if workers:
                victim = random.choice(sorted(workers))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    killed.add(victim)
        assert thread.is_alive()
    assert killed
    assert [error for client in clients for error in client.refused] == []
    broken = [text for client in clients for text in client.broken]
    # A request that was lost was in the hands of one that was killed, and each had one.
    assert {int(text.split()[0]) for text in broken if text} <= killed
    assert len(broken) <= len(killed)
    assert sum(client.served for client in clients) > 20 * SECONDS
    if strategy in STANDING:
        whole = idle_workers(server, WORKERS)
        assert len(whole) == WORKERS
        eventually(lambda: children() == whole, what="no zombie")
    else:
        eventually(lambda: children() == set(), what="no zombie")
    eventually(lambda: descriptors() == before, what="no descriptor left")
    within(server.shutdown)
    thread.wait_until_it_ended()
    within(server.server_close)
    assert thread.raised is None
    assert len(errors()) <= len(killed)
    errors()


MASTER = """
import os, threading
from prefork import PreforkTCPServer, Settings

def handler(request, client_address, server):
    request.sendall(b"%d " % os.getpid())
    if request.recv(1) == b"h":
        request.recv(1)
    request.sendall(b"done")

class Server(PreforkTCPServer):
    max_children = 4
    allow_reuse_address = True
    prefork_settings = Settings(strategy={strategy!r})

server = Server(("127.0.0.1", 0), handler)
print("serving on", server.server_address[1])
server.serve_forever()
"""


def first_word(client: socket.socket) -> int:
    text = b""
    while not text.endswith(b" "):
        text += client.recv(1)
    return int(text)


def test_a_killed_master_takes_its_idle_workers_along_and_frees_the_port(
    strategy: str, elsewhere: Any
) -> None:
    """The idle ones go within a second, busy ones after their request, and the port is free."""
    with program(MASTER.format(strategy=strategy), elsewhere) as it:
        address = it.address()
        with connect(address) as one, connect(address) as two:
            busy = set()
            for client in (one, two):
                client.sendall(b"h")
                busy.add(first_word(client))
            workers = it.workers(4 if strategy in STANDING else 2)
            assert busy <= workers
            os.kill(it.pid, signal.SIGKILL)
            it.ends()
            assert orphans_end(workers - busy, 1.0)
            assert not any(has_ended(pid, 0) for pid in busy)
            for client in (one, two):
                client.sendall(b"!")
                assert answer(client) == b"done"
        assert orphans_end(busy, 5.0)
        assert refuses(address)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(address)


@pytest.mark.slow
def test_a_master_killed_under_load_leaves_nobody(strategy: str, elsewhere: Any) -> None:
    """In whatever state the workers are at that moment."""
    with program(MASTER.format(strategy=strategy), elsewhere) as it:
        address = it.address()
        answers = threading.Semaphore(0)

        def ask_until_it_fails() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with connect(address) as client:
                        client.sendall(b"x")
                        answer(client)
                    answers.release()

        threads = [threading.Thread(target=ask_until_it_fails) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(200):
            assert answers.acquire(timeout=HANG)
        before = children()
        os.kill(it.pid, signal.SIGKILL)
        it.ends()
        orphans = children() - before
        for thread in threads:
            thread.join(HANG)
            assert not thread.is_alive(), "somebody still takes clients"
        assert orphans_end(orphans, 5.0)
        assert refuses(address)
        assert it.errors() == ""
