"""The three request handler classes."""

import io
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.documented.kit import Record
from tests.support.deadlines import EXCHANGE, stretched, within


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection: the client's end and the server's end."""
    client, request = socket.socketpair()
    with client, request:
        client.settimeout(stretched(EXCHANGE))
        request.settimeout(stretched(EXCHANGE))
        yield client, request


class FakeSocket:
    """A test double as other programs use it: two methods of a socket."""

    def __init__(self, received: bytes = b"") -> None:
        self._received = received
        self.sent = b""

    def makefile(self, mode: str, bufsize: int) -> io.BytesIO:
        assert mode == "rb"
        return io.BytesIO(self._received)

    def sendall(self, data: bytes) -> None:
        self.sent += data


def handled(base: Any, request: Any, **attributes: Any) -> Any:
    """Return a finished handler of a subclass with these attributes."""
    handler_class: Any = type("Handler", (base,), attributes)
    return handler_class(request, ("client", 1), None)


def kept_open(base: Any, request: Any, **attributes: Any) -> Any:
    """Return a handler that is not finished, so that its files can be examined."""
    return handled(base, request, finish=lambda self: None, **attributes)


def test_a_handler_runs_when_it_is_constructed(api: Any, record: Record) -> None:
    class Handler(api.BaseRequestHandler):
        def setup(self) -> None:
            record(f"setup {self.request} {self.client_address} {self.server}")

        def handle(self) -> None:
            record("handle")

        def finish(self) -> None:
            record("finish")

    Handler("request", "address", "server")
    assert record == ["setup request address server", "handle", "finish"]


def test_attributes_may_be_set_before_the_inherited_constructor(api: Any) -> None:
    class Handler(api.BaseRequestHandler):
        def __init__(self, *args: Any) -> None:
            self.greeting = "hello"
            super().__init__(*args)

        def handle(self) -> None:
            self.greeting += f", {self.client_address}"

    assert Handler(None, "you", None).greeting == "hello, you"


@pytest.mark.parametrize(
    ("sizes", "reader", "writer"),
    [
        ({}, io.BufferedReader, None),
        ({"rbufsize": 0}, socket.SocketIO, None),
        ({"rbufsize": 64}, io.BufferedReader, None),
        ({"wbufsize": -1}, io.BufferedReader, io.BufferedWriter),
        ({"wbufsize": 1}, io.BufferedReader, io.BufferedWriter),
        ({"wbufsize": 4096}, io.BufferedReader, io.BufferedWriter),
    ],
)
def test_the_buffer_sizes_decide_on_the_files(
    api: Any, pair: Any, sizes: dict[str, int], reader: type, writer: type | None
) -> None:
    handler = kept_open(api.StreamRequestHandler, pair[1], **sizes)
    with handler.rfile, handler.wfile:
        assert type(handler.rfile) is reader
        assert type(handler.wfile) is (writer or api._SocketWriter)
        assert handler.connection is pair[1]


def test_a_buffered_writer_has_the_size_that_was_asked_for(api: Any, pair: Any) -> None:
    client, request = pair
    client.setblocking(False)
    handler = kept_open(api.StreamRequestHandler, request, wbufsize=4)
    with handler.rfile, handler.wfile:
        handler.wfile.write(b"abc")
        with pytest.raises(BlockingIOError):
            client.recv(10)
        handler.wfile.write(b"defgh")
        assert client.recv(10).startswith(b"abc")


def test_a_timeout_is_set_on_the_connection_before_the_files_are_made(api: Any) -> None:
    calls: list[Any] = []

    class Noting(FakeSocket):
        def settimeout(self, seconds: float) -> None:
            calls.append(seconds)

        def makefile(self, mode: str, bufsize: int) -> io.BytesIO:
            calls.append("makefile")
            return super().makefile(mode, bufsize)

    handled(api.StreamRequestHandler, Noting(), timeout=1.5)
    assert calls == [1.5, "makefile"]


def test_a_timeout_ends_the_wait_for_a_silent_client(api: Any, pair: Any) -> None:
    def read(handler: Any) -> None:
        handler.rfile.read(1)

    with pytest.raises(TimeoutError):
        handled(api.StreamRequestHandler, pair[1], timeout=0.01, handle=read)


@pytest.mark.parametrize("disable", [False, True])
def test_the_nagle_algorithm_is_disabled_on_request(api: Any, disable: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as request:
        handler = kept_open(api.StreamRequestHandler, request, disable_nagle_algorithm=disable)
        with handler.rfile, handler.wfile:
            option = request.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert bool(option) is disable


def test_both_files_are_closed_when_it_is_finished(api: Any, pair: Any) -> None:
    for wbufsize in (0, -1):
        handler = handled(api.StreamRequestHandler, pair[1], wbufsize=wbufsize)
        assert handler.rfile.closed
        assert handler.wfile.closed


def test_what_was_buffered_is_sent_at_the_end(api: Any, pair: Any) -> None:
    client, request = pair

    def write(handler: Any) -> None:
        handler.wfile.write(b"hello")

    handled(api.StreamRequestHandler, request, wbufsize=-1, handle=write)
    assert client.recv(10) == b"hello"


def test_a_handler_may_close_its_files_itself(api: Any, pair: Any) -> None:
    def write_and_close(handler: Any) -> None:
        handler.wfile.write(b"hello")
        handler.wfile.close()
        handler.rfile.close()

    handled(api.StreamRequestHandler, pair[1], wbufsize=-1, handle=write_and_close)
    assert pair[0].recv(10) == b"hello"


def test_an_error_of_the_last_flush_is_ignored(api: Any) -> None:
    class Broken(io.BytesIO):
        def flush(self) -> None:
            raise BrokenPipeError

    def spoil(handler: Any) -> None:
        handler.wfile = broken

    broken = Broken()
    handler = handled(api.StreamRequestHandler, FakeSocket(), handle=spoil)
    assert broken.closed
    assert handler.rfile.closed


def test_a_client_that_has_gone_is_not_an_error_for_a_buffered_answer(
    api: Any, improved: bool, pair: Any
) -> None:
    """With the standard library's module, closing the file raises the ignored error again."""
    client, request = pair

    def write(handler: Any) -> None:
        handler.wfile.write(b"too late")
        client.close()

    if improved:
        handler = handled(api.StreamRequestHandler, request, wbufsize=-1, handle=write)
        assert handler.wfile.closed
        assert handler.rfile.closed
    else:
        with pytest.raises(BrokenPipeError):
            handled(api.StreamRequestHandler, request, wbufsize=-1, handle=write)


def test_a_stream_handler_needs_only_two_methods_of_a_socket(api: Any) -> None:
    def answer(handler: Any) -> None:
        handler.wfile.write(handler.rfile.readline().upper())

    request = FakeSocket(b"hello\nand more")
    handled(api.StreamRequestHandler, request, handle=answer)
    assert request.sent == b"HELLO\n"


def test_the_writer_is_a_writable_file_only(api: Any, pair: Any) -> None:
    writer = api._SocketWriter(pair[1])
    assert isinstance(writer, io.BufferedIOBase)
    assert writer.writable()
    assert not writer.readable()
    assert not writer.seekable()
    assert writer.fileno() == pair[1].fileno()
    assert writer._sock is pair[1]


def test_the_writer_counts_bytes_not_items(api: Any, pair: Any) -> None:
    writer = api._SocketWriter(pair[1])
    assert writer.write(b"") == 0
    assert writer.write(b"hello") == 5
    assert writer.write(bytearray(b"you")) == 3
    assert writer.write(memoryview(bytes(16)).cast("I")) == 16
    assert pair[0].recv(100) == b"helloyou" + bytes(16)


def test_the_writer_refuses_text(api: Any, pair: Any) -> None:
    with pytest.raises(TypeError):
        api._SocketWriter(pair[1]).write("text")


def test_closing_the_writer_leaves_the_socket_open(api: Any, pair: Any) -> None:
    writer = api._SocketWriter(pair[1])
    writer.close()
    assert writer.closed
    assert writer.write(b"still here") == 10
    assert pair[0].recv(100) == b"still here"
    with pytest.raises(ValueError, match="closed"):
        writer.flush()


def test_the_writer_sends_everything_whatever_signals_arrive(api: Any, pair: Any) -> None:
    """A single send would stop when the buffer is full, or when a signal arrives."""
    client, request = pair
    request.settimeout(None)
    size = 4 * 1024 * 1024 + 1
    main_thread = threading.get_ident()
    received = []
    signals = []

    def read() -> None:
        signal.pthread_kill(main_thread, signal.SIGUSR1)
        while sum(received) < size:
            received.append(len(client.recv(1 << 20)))

    before = signal.signal(signal.SIGUSR1, lambda number, frame: signals.append(number))
    reader = threading.Thread(target=read)
    try:
        reader.start()
        assert api._SocketWriter(request).write(b"x" * size) == size
        request.close()
        within(reader.join)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert sum(received) == size
    assert signals == [signal.SIGUSR1]


class FakeDatagramSocket:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def sendto(self, data: bytes, address: Any) -> None:
        self.sent.append((data, address))


def test_a_datagram_handler_reads_and_answers_in_memory(api: Any) -> None:
    sock = FakeDatagramSocket()
    seen = []

    def answer(handler: Any) -> None:
        seen.append((handler.packet, handler.socket, type(handler.rfile), type(handler.wfile)))
        handler.wfile.write(handler.rfile.read()[::-1])

    handled(api.DatagramRequestHandler, (b"hello", sock), handle=answer)
    assert seen == [(b"hello", sock, io.BytesIO, io.BytesIO)]
    assert sock.sent == [(b"olleh", ("client", 1))]


def test_a_datagram_is_answered_even_if_the_handler_writes_nothing(api: Any) -> None:
    sock = FakeDatagramSocket()
    handled(api.DatagramRequestHandler, (b"hello", sock))
    assert sock.sent == [(b"", ("client", 1))]
