"""The load generator does what it is asked, and takes no wrong answer for a right one."""

import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.contenders import Running, c_server
from benchmarks.load import Answers, Load, generate
from tests.support.deadlines import EXCHANGE, Call, stretched

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler cc")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(stretched(EXCHANGE))
        yield listening


@pytest.fixture
def datagrams() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(stretched(EXCHANGE))
        yield bound


def ask(load: Load, server: socket.socket, requests: int = 1, clients: int = 1) -> Call[Answers]:
    """So many requests, in a thread."""
    port = server.getsockname()[1]
    return Call(
        lambda: generate(
            load, port, clients=clients, seconds=stretched(EXCHANGE), requests=requests
        ),
        "the load generator",
    )


def answer_one(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(stretched(EXCHANGE))
        connection.recv(1024)
        connection.sendall(answer)


@pytest.mark.parametrize("kind", ["connection", "lines", "datagram", "large"])
def test_the_c_server_answers_each_kind_of_request(kind: str) -> None:
    load = Load(kind, size=10_000 if kind == "large" else 32)
    with Running(c_server(2, kind, size=load.size)) as server:
        answers = generate(load, server.port, clients=2, seconds=stretched(EXCHANGE), requests=20)
    assert (answers.requests, answers.errors) == (20, 0)
    assert sum(count for _, count in answers.latencies) == 20


@pytest.mark.parametrize("answer", [b"", b"short", b"x" * 32, b"abcdefghijklmnopqrstuvwxyzabcdef+"])
def test_an_answer_that_is_not_what_was_sent_is_an_error(
    listener: socket.socket, answer: bytes
) -> None:
    asking = ask(Load(), listener)
    answer_one(listener, answer)
    assert (asking.result().requests, asking.result().errors) == (0, 1)


def test_an_answer_of_another_length_is_an_error(listener: socket.socket) -> None:
    asking = ask(Load("large", size=100), listener)
    answer_one(listener, bytes(99))
    assert (asking.result().requests, asking.result().errors) == (0, 1)


@pytest.mark.parametrize(
    ("line", "good"), [(b"HTTP/1.0 200 OK", 1), (b"HTTP/1.1 200 OK", 1), (b"HTTP/1.1 500 No", 0)]
)
def test_http_is_answered_with_200(listener: socket.socket, line: bytes, good: int) -> None:
    asking = ask(Load("http"), listener)
    answer_one(listener, line + b"\r\n\r\nbody")
    assert (asking.result().requests, asking.result().errors) == (good, 1 - good)


def test_lines_come_on_a_new_connection_after_so_many(listener: socket.socket) -> None:
    asking = ask(Load("lines", reconnect=3), listener, requests=6)
    for _ in range(2):
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as lines:
            connection.settimeout(stretched(EXCHANGE))
            for _ in range(3):
                lines.write(lines.readline())
                lines.flush()
            assert not lines.readline()
    assert asking.result().requests == 6


def test_a_datagram_that_is_lost_is_sent_again_and_its_wait_counts_from_the_first(
    datagrams: socket.socket,
) -> None:
    asking = ask(Load("datagram"), datagrams)
    lost, _ = datagrams.recvfrom(1024)
    again, client = datagrams.recvfrom(1024)
    datagrams.sendto(again, client)
    assert again == lost
    answers = asking.result()
    assert (answers.requests, answers.errors, answers.resent) == (1, 0, 1)
    assert answers.latencies[0][0] >= 0.19e9


def test_a_late_answer_is_not_taken_for_that_of_the_next_datagram(
    datagrams: socket.socket,
) -> None:
    asking = ask(Load("datagram"), datagrams, requests=2)
    first, client = datagrams.recvfrom(1024)
    datagrams.sendto(first, client)
    second, _ = datagrams.recvfrom(1024)
    datagrams.sendto(first, client)
    datagrams.sendto(b"none", client)
    datagrams.sendto(second, client)
    answers = asking.result()
    assert (answers.requests, answers.errors) == (2, 0)


def test_under_a_pace_a_request_counts_from_when_it_was_due(listener: socket.socket) -> None:
    # All are due at once, and there is one client: each waits for those before it.
    asking = ask(Load(every=1e-6), listener, requests=20)
    echo_one(listener)
    first_answered = time.monotonic()
    for _ in range(18):
        echo_one(listener)
    most_answered = time.monotonic()
    echo_one(listener)
    longest = max(value for value, _ in asking.result().latencies) / 1e9
    assert longest > most_answered - first_answered


def test_at_given_times_there_are_as_many_requests_as_times(
    listener: socket.socket, tmp_path: Path
) -> None:
    times = tmp_path / "times"
    times.write_text("0.0\n0.0\n0.0\n0.001\n")
    asking = ask(Load(times=str(times)), listener, requests=99)
    echo_one(listener)
    first_answered = time.monotonic()
    for _ in range(2):
        echo_one(listener)
    most_answered = time.monotonic()
    echo_one(listener)
    answers = asking.result()
    assert answers.requests == 4
    longest = max(value for value, _ in answers.latencies) / 1e9
    assert longest > most_answered - first_answered - 0.001


def echo_one(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(stretched(EXCHANGE))
        connection.sendall(connection.recv(1024))
