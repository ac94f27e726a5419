"""The load generator sends what its options say, and counts wrong answers as errors."""

import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("hdrh", reason="the benchmarks' libraries are not installed")

from benchmarks.harness.competitors import RunningServer, c_server
from benchmarks.harness.load_generator import LoadReport, Workload, generate
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


def ask(
    load: Workload, server: socket.socket, requests: int = 1, clients: int = 1
) -> Call[LoadReport]:
    """Run the load generator in a thread."""
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
    load = Workload(kind, size=10_000 if kind == "large" else 32)
    with RunningServer(c_server(2, kind, size=load.size)) as server:
        report = generate(load, server.port, clients=2, seconds=stretched(EXCHANGE), requests=20)
    assert (report.requests, report.errors) == (20, 0)
    assert report.latencies.count == 20


@pytest.mark.parametrize("answer", [b"", b"short", b"x" * 32, b"abcdefghijklmnopqrstuvwxyzabcdef+"])
def test_an_answer_that_is_not_what_was_sent_is_an_error(
    listener: socket.socket, answer: bytes
) -> None:
    asking = ask(Workload(), listener)
    answer_one(listener, answer)
    assert (asking.result().requests, asking.result().errors) == (0, 1)


def test_an_answer_of_another_length_is_an_error(listener: socket.socket) -> None:
    asking = ask(Workload("large", size=100), listener)
    answer_one(listener, bytes(99))
    assert (asking.result().requests, asking.result().errors) == (0, 1)


@pytest.mark.parametrize(
    ("line", "good"), [(b"HTTP/1.0 200 OK", 1), (b"HTTP/1.1 200 OK", 1), (b"HTTP/1.1 500 No", 0)]
)
def test_an_http_answer_without_status_200_is_an_error(
    listener: socket.socket, line: bytes, good: int
) -> None:
    asking = ask(Workload("http"), listener)
    answer_one(listener, line + b"\r\n\r\nbody")
    assert (asking.result().requests, asking.result().errors) == (good, 1 - good)


def test_a_client_reconnects_after_the_given_number_of_lines(listener: socket.socket) -> None:
    asking = ask(Workload("lines", reconnect=3), listener, requests=6)
    for _ in range(2):
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as lines:
            connection.settimeout(stretched(EXCHANGE))
            for _ in range(3):
                lines.write(lines.readline())
                lines.flush()
            assert not lines.readline()
    assert asking.result().requests == 6


def test_a_lost_datagram_is_sent_again_and_its_latency_counts_from_the_first(
    datagrams: socket.socket,
) -> None:
    asking = ask(Workload("datagram"), datagrams)
    lost, _ = datagrams.recvfrom(1024)
    again, client = datagrams.recvfrom(1024)
    datagrams.sendto(again, client)
    assert again == lost
    report = asking.result()
    assert (report.requests, report.errors, report.resent) == (1, 0, 1)
    assert report.latencies.longest >= 0.19e6


def test_a_late_answer_is_not_taken_for_that_of_the_next_datagram(
    datagrams: socket.socket,
) -> None:
    asking = ask(Workload("datagram"), datagrams, requests=2)
    first, client = datagrams.recvfrom(1024)
    datagrams.sendto(first, client)
    second, _ = datagrams.recvfrom(1024)
    datagrams.sendto(first, client)
    datagrams.sendto(b"none", client)
    datagrams.sendto(second, client)
    report = asking.result()
    assert (report.requests, report.errors) == (2, 0)


def test_with_a_pace_a_latency_counts_from_when_the_request_was_due(
    listener: socket.socket,
) -> None:
    # All requests are due at once, and there is one client: each waits for those before it.
    asking = ask(Workload(every=1e-6), listener, requests=20)
    echo_one(listener)
    first_answered = time.monotonic()
    for _ in range(18):
        echo_one(listener)
    all_but_one_answered = time.monotonic()
    echo_one(listener)
    longest = asking.result().latencies.longest / 1e6
    assert longest > all_but_one_answered - first_answered


def test_with_given_times_there_is_a_request_for_each_time(
    listener: socket.socket, tmp_path: Path
) -> None:
    times = tmp_path / "times"
    times.write_text("0.0\n0.0\n0.0\n0.001\n")
    asking = ask(Workload(times=str(times)), listener, requests=99)
    echo_one(listener)
    first_answered = time.monotonic()
    for _ in range(2):
        echo_one(listener)
    all_but_one_answered = time.monotonic()
    echo_one(listener)
    report = asking.result()
    assert report.requests == 4
    longest = report.latencies.longest / 1e6
    assert longest > all_but_one_answered - first_answered - 0.001


def echo_one(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(stretched(EXCHANGE))
        connection.sendall(connection.recv(1024))
