"""`prefork serve`: each kind of address, handlers and server classes."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.cli.kit import HERE, Program, environment
from tests.support.announcements import Gate, Told
from tests.support.children import children_of, command_of, reap_orphans
from tests.support.clients import ask, connect, datagram_socket, receive_all
from tests.support.deadlines import ENDING, EXCHANGE, stretched
from tests.support.polling import eventually

Start = Callable[..., Program]


def test_tcp(program: Start) -> None:
    bind = ("--bind", "tcp://127.0.0.1:0", "--max-children", 2)
    server = program("serve", "handlers:Echo", "--app-dir", HERE, *bind)
    pid, _, text = ask(server.address(), b"hello").partition(b" ")
    assert text == b"hello"
    assert int(pid) in children_of(server.pid)
    eventually(lambda: len(children_of(server.pid)) == 2)
    server.signal(15)
    assert server.exit_code() == 0


def test_ipv6(serve: Start) -> None:
    server = serve("Echo", "--bind", "tcp://[::1]:0")
    host, port = server.address()
    assert ask((host, port, 0, 0), b"hello").endswith(b"hello")


def test_udp(serve: Start) -> None:
    server = serve("Upper", "--bind", "udp://127.0.0.1:0")
    address = server.address("udp")
    with datagram_socket(address) as client:
        client.sendto(b"hello", address)
        assert client.recv(100) == b"HELLO"


def test_unix(serve: Start, short_path: Path) -> None:
    path = short_path / "s"
    server = serve("Echo", "--bind", f"unix://{path}")
    server.wait_for("Serving")
    assert ask(str(path), b"hello").endswith(b"hello")
    server.signal(15)
    assert server.exit_code() == 0
    assert not path.exists()


def test_unixgram(serve: Start, short_path: Path) -> None:
    path = short_path / "s"
    server = serve("Upper", "--bind", f"unixgram://{path}")
    server.wait_for("Serving")
    with datagram_socket(str(path), str(short_path / "c")) as client:
        client.sendto(b"hello", str(path))
        assert client.recv(100) == b"HELLO"
    server.signal(15)
    assert server.exit_code() == 0
    assert not path.exists()


def test_an_abstract_unix_socket_leaves_no_file(serve: Start, folder: Path) -> None:
    name = f"@prefork-test-{os.getpid()}"
    server = serve("Echo", "--bind", f"unix://{name}")
    server.wait_for(f"on unix://{name}")
    assert ask("\0" + name[1:], b"hello").endswith(b"hello")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_stale_socket_file_is_removed(serve: Start, short_path: Path, kind: int) -> None:
    path = short_path / "s"
    with socket.socket(socket.AF_UNIX, kind) as former:
        former.bind(str(path))
    server = serve("Echo", "--bind", f"unix://{path}")
    server.wait_for("Serving")
    assert ask(str(path), b"hello").endswith(b"hello")


def test_several_addresses_have_a_pool_each(serve: Start, short_path: Path) -> None:
    path = short_path / "s"
    binds = ("--bind", "tcp://127.0.0.1:0", "--bind", f"unix://{path}", "--max-children", 1)
    server = serve("Echo", *binds)
    server.wait_for("on unix://")
    first = ask(server.address(), b"").split()[0]
    second = ask(str(path), b"").split()[0]
    assert {int(first), int(second)} == children_of(server.pid)
    assert first != second


def test_several_addresses_have_one_pool_with_the_option(serve: Start, short_path: Path) -> None:
    path = short_path / "s"
    binds = ("--bind", "tcp://127.0.0.1:0", "--bind", f"unix://{path}", "--max-children", 1)
    server = serve("Echo", *binds, "--one-pool", "--name", "app")
    found = server.wait_for(r"on tcp://127.0.0.1:(\d+), unix://\S+ with 1 worker,")
    address = ("127.0.0.1", int(found[1]))
    workers = {int(ask(each, b"").split()[0]) for each in (address, str(path))}
    assert workers == children_of(server.pid)
    title = f"prefork: master [app] 127.0.0.1:{address[1]} + {path} 0/1 busy"
    eventually(lambda: command_of(server.pid) == title)
    server.signal(15)
    assert server.exit_code() == 0
    assert not path.exists()


def test_a_server_class_gets_a_pool(serve: Start) -> None:
    server = serve("Server", "--bind", "tcp://127.0.0.1:0")
    pid = int(ask(server.address(), b"").split()[0])
    assert {pid} == children_of(server.pid)
    assert "with 1 worker, strategy accept (set by the server class" in server.err


def test_a_pool_class_is_used_as_it_is(serve: Start) -> None:
    server = serve("OwnPool", "--bind", "tcp://127.0.0.1:0")
    first, second = (ask(server.address(), b"").split()[0] for _ in range(2))
    assert first != second  # its max_requests is 1
    eventually(lambda: command_of(server.pid).startswith("prefork: master [own] 127.0.0.1:"))


def test_a_handler_can_be_named_apart(serve: Start) -> None:
    server = serve("Bare", "--handler", "handlers:Echo", "--bind", "tcp://127.0.0.1:0")
    assert ask(server.address(), b"hello").endswith(b"hello")


def test_a_server_of_the_standard_library(program: Start, folder: Path) -> None:
    (folder / "file").write_text("some text")
    server = program(
        *("serve", "http.server:HTTPServer", "--handler", "http.server:SimpleHTTPRequestHandler"),
        *("--bind", "tcp://127.0.0.1:0"),
    )
    assert ask(server.address(), b"GET /file HTTP/1.0\r\n\r\n").endswith(b"some text")


def test_threads_serve_side_by_side_in_one_worker(serve: Start, told: Told, gate: Gate) -> None:
    options = ("--max-children", 1, "--threads", 2)
    server = serve("AtGate", "--bind", "tcp://127.0.0.1:0", *options)
    with connect(server.address()) as one, connect(server.address()) as other:
        assert told.wait_for(b"entered") == told.wait_for(b"entered")
        gate.open()
        assert [receive_all(one), receive_all(other)] == [b"served", b"served"]


def test_the_strategy_fork_has_a_process_for_each_request(serve: Start) -> None:
    server = serve("Echo", "--bind", "tcp://127.0.0.1:0", "--strategy", "fork")
    address = server.address()
    assert ask(address, b"").split()[0] != ask(address, b"").split()[0]


def test_the_first_line_says_what_where_how_many_and_why(serve: Start) -> None:
    server = serve("Echo", "--bind", "tcp://127.0.0.1:0", "--max-children", 3)
    line = server.wait_for(r"Serving.*")[0]
    assert "Serving handlers:Echo on tcp://127.0.0.1:" in line
    assert "with 3 workers, strategy accept (set by max-children; this process" in line


def test_a_pool_that_follows_the_load_says_so_and_each_change(serve: Start) -> None:
    server = serve(
        "Echo", "--bind", "tcp://127.0.0.1:0", "--max-children", 3, "--sizing", "ondemand"
    )
    address = server.address()
    server.wait_for(
        r"with at most 3 workers, strategy accept, sizing ondemand \(set by max-children"
    )
    ask(address, b"")
    server.wait_for(r"Scaling from 0 to 1 worker: none is ready, 1 client waits\.")


def test_the_masters_title_counts_busy_workers(serve: Start, told: Told, gate: Gate) -> None:
    bind = ("--bind", "tcp://127.0.0.1:0", "--name", "app", "--max-children", 2)
    server = serve("AtGate", *bind)
    address = server.address()
    with connect(address) as client:
        told.wait_for(b"entered")
        wanted = f"prefork: master [app] 127.0.0.1:{address[1]} 1/2 busy"
        eventually(lambda: command_of(server.pid) == wanted)
        gate.open()
        assert receive_all(client) == b"served"


def test_options_come_from_a_file_and_the_environment(program: Start, folder: Path) -> None:
    (folder / "prefork.toml").write_text(
        f'target = "handlers:Echo"\nbind = "tcp://127.0.0.1:0"\napp-dir = "{HERE}"\n'
        'max-children = 3\nname = "file"\n'
    )
    server = program("serve", "--name", "flag", PREFORK_MAX_CHILDREN="2")
    assert ask(server.address(), b"hello").endswith(b"hello")
    assert "with 2 workers" in server.err
    eventually(lambda: "[flag]" in command_of(server.pid))


def test_without_titles_processes_keep_their_own(program: Start, told: Told, gate: Gate) -> None:
    options = ("--bind", "tcp://127.0.0.1:0", "--max-children", 1, "--no-process-titles")
    server = program("serve", "handlers:AtGate", "--app-dir", HERE, *options)
    with connect(server.address()) as client:
        told.wait_for(b"entered")
        for pid in (server.pid, *children_of(server.pid)):
            assert "-m prefork serve handlers:AtGate" in command_of(pid)
        gate.open()
        assert receive_all(client) == b"served"


def test_a_wrong_variable_is_refused_with_a_sentence(serve: Start) -> None:
    server = serve("Echo", PREFORK_MAX_CHILDERN="2")
    assert server.exit_code() == 2
    assert server.out == ""
    assert server.err == (
        "prefork: PREFORK_MAX_CHILDERN in the environment: `prefork serve` has no such option. "
        "Did you mean PREFORK_MAX_CHILDREN?\n"
    )


@pytest.mark.parametrize("closed", [">&- 2>&- <&-", "2>&1 | true"])
def test_serves_without_standard_streams(
    modules: Path, folder: Path, short_path: Path, closed: str
) -> None:
    """The descriptors used to go to the first sockets; an unread traceback killed workers."""
    path = short_path / "s"
    command = (
        f"{sys.executable} -m prefork serve handlers:noisy --app-dir {HERE} --bind unix://{path}"
        f" --max-children 1 {closed}"
    )
    shell = subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(modules),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        # The socket's file is there before the server listens; its workers are not.
        eventually(
            lambda: any(command_of(p).startswith("prefork: worker") for p in group(shell.pid))
        )
        for _ in range(3):
            assert ask(str(path), b"x") == b""
        workers = {pid for pid in group(shell.pid) if command_of(pid).startswith("prefork: worker")}
        assert ask(str(path), b"x") == b""
        assert workers == {
            p for p in group(shell.pid) if command_of(p).startswith("prefork: worker")
        }
    finally:
        os.killpg(shell.pid, 15)
        shell.wait(stretched(EXCHANGE))
        codes = reap_orphans()  # the shell may end before the command does
    assert set(codes) <= {0}
    assert not path.exists()


@pytest.mark.parametrize("closed", [">&- 2>&- <&-", "2>/dev/full"])
def test_a_refusal_that_cannot_be_written_has_its_exit_code(
    modules: Path, folder: Path, closed: str
) -> None:
    command = ["bash", "-c", f"{sys.executable} -m prefork serve {closed}"]
    ended = subprocess.run(command, cwd=folder, env=environment(modules), timeout=stretched(ENDING))
    assert ended.returncode == 2


def group(number: int) -> list[int]:
    """The pids of a process group, without the dead."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):  # it has just ended
            if os.getpgid(process.pid) == number and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found
