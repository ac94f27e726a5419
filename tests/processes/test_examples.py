"""The example programs and those of the README, run unchanged except for their ports."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.checkout import ROOT
from tests.support.deadlines import Deadline
from tests.support.polling import eventually

EXAMPLES = ROOT / "examples"
README = (ROOT / "README.md").read_text()

APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello " + environ["PATH_INFO"].encode()]

"""


def source_of(program: str) -> str:
    """The text of an example, or of the Python block of the README that contains *program*."""
    if program.endswith(".py"):
        return (EXAMPLES / program).read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if program in block)
    return APPLICATION + str(block)


def start(program: str, port: int, *args: str) -> subprocess.Popen[str]:
    """Run an example with its port replaced; nothing else is changed."""
    source = re.sub(r"\b(9999|8000)\b", str(port), source_of(program))
    return subprocess.Popen(
        [sys.executable, "-u", "-c", source, *args],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=EXAMPLES,
    )


def run(program: str, port: int, *args: str) -> str:
    with start(program, port, *args) as client:
        output, _ = client.communicate(timeout=Deadline().remaining())
    assert client.returncode == 0, output
    return output


@contextlib.contextmanager
def serving(program: str, kind: socket.SocketKind) -> Iterator[int]:
    """Run an example server; at the end of the block, send it SIGINT and wait for its end."""
    port = free_port()
    server = start(program, port)
    try:
        eventually(lambda: is_served(port, kind), what=f"{program} on port {port}")
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=Deadline().remaining())


def free_port() -> int:
    """A port that is free for TCP and for UDP."""
    while True:
        with socket.socket() as streams, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            streams.bind(("127.0.0.1", 0))
            port: int = streams.getsockname()[1]
            with contextlib.suppress(OSError):
                datagrams.bind(("127.0.0.1", port))
                return port


def is_served(port: int, kind: socket.SocketKind) -> bool:
    """Whether a server has the port: by connecting to TCP, by failing to bind UDP."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            return probe.connect_ex(("127.0.0.1", port)) == 0
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@pytest.mark.parametrize(
    ("server", "client", "kind"),
    [
        ("tcp_recv_server.py", "tcp_client.py", socket.SOCK_STREAM),
        ("tcp_stream_server.py", "tcp_client.py", socket.SOCK_STREAM),
        ("udp_server.py", "udp_client.py", socket.SOCK_DGRAM),
        ("group_server.py", "tcp_client.py", socket.SOCK_STREAM),
        ("group_server.py", "udp_client.py", socket.SOCK_DGRAM),
    ],
)
def test_the_example_client_gets_answers_from_the_example_server(
    server: str, client: str, kind: socket.SocketKind
) -> None:
    with serving(server, kind) as port:
        assert "Received: HELLO WORLD WITH TCP" in run(client, port, "hello world with TCP")
        assert "Received: AND AGAIN" in run(client, port, "and again")


def test_the_threaded_program_answers_from_three_threads() -> None:
    output = run("threaded_server.py", 9999)
    lines = [line for line in output.splitlines() if line.startswith("Received: Thread-")]
    assert [line[-1] for line in lines] == ["1", "2", "3"]


def test_the_pool_counts_primes() -> None:
    with serving("pool_server.py", socket.SOCK_STREAM) as port:
        assert "Received: 9592, counted by process" in run("tcp_client.py", port, "100000")


def test_the_quick_start_of_the_readme_counts_primes() -> None:
    with serving("class CountPrimes", socket.SOCK_STREAM) as port:
        assert "Received: 168, counted by process" in run("tcp_client.py", port, "1000")


def test_the_wsgi_server_of_the_readme_serves_an_application() -> None:
    with serving("server.set_app(application)", socket.SOCK_STREAM) as port:
        for path in ("/first", "/second"):
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}{path}", timeout=Deadline().remaining()
            ) as answer:
                assert answer.read() == b"hello " + path.encode()


@pytest.mark.parametrize(
    "program",
    ["tcp_recv_server.py", "tcp_stream_server.py", "udp_server.py", "threaded_server.py"],
)
def test_only_the_import_differs_from_the_documented_program(program: str) -> None:
    source = (EXAMPLES / program).read_text()
    assert source.count("import prefork as socketserver") == 1
    assert source.count("prefork") == 1
