"""What `handle_error` prints, and when it is called."""

import re
import sys
from typing import Any

import pytest

from tests.documented.kit import LOOPBACK, raiser, serve_one, take_one
from tests.support.clients import connect, datagram_socket

RULE = "-" * 40


def test_an_error_is_reported_on_standard_error_and_the_server_continues(
    api: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with api.TCPServer(LOOPBACK, raiser(ValueError("out of cheese"))) as server:
        serve_one(server)
        serve_one(server)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("ValueError: out of cheese\n") == 2


def test_the_report_has_the_known_format(api: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        api.TCPServer(LOOPBACK, raiser(ValueError("out of cheese"))) as server,
        connect(server.server_address) as client,
    ):
        address = client.getsockname()
        take_one(server)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == lines[-1] == RULE
    assert lines[1] == f"Exception occurred during processing of request from {address!r}"
    assert lines[2] == "Traceback (most recent call last):"
    assert lines[-2] == "ValueError: out of cheese"
    assert re.fullmatch(r'  File ".*", line \d+, in \w+', lines[3])


def test_a_client_of_a_unix_server_has_an_empty_address(
    api: Any, short_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with api.UnixStreamServer(str(short_path / "s"), raiser(ValueError())) as server:
        serve_one(server)
    assert "processing of request from \n" in capsys.readouterr().err


def test_a_datagram_from_an_unbound_unix_socket_has_no_address(
    api: Any, short_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """It cannot be answered, which is an error like any other."""
    path = str(short_path / "s")
    with (
        api.UnixDatagramServer(path, api.DatagramRequestHandler) as server,
        datagram_socket(path) as client,
    ):
        client.sendto(b"hello", path)
        take_one(server)
    err = capsys.readouterr().err
    assert "processing of request from None\n" in err
    assert "TypeError" in err


@pytest.mark.parametrize("kind", ["TCPServer", "ThreadingTCPServer"])
def test_handle_error_is_called_while_the_exception_is_being_handled(api: Any, kind: str) -> None:
    error = ValueError("no")
    seen = []

    class Server(getattr(api, kind)):  # type: ignore[misc]
        def handle_error(self, request: Any, client_address: Any) -> None:
            seen.append((sys.exc_info()[1], request.fileno() >= 0, client_address[0]))

    with Server(LOOPBACK, raiser(error)) as server:
        serve_one(server)
    assert seen == [(error, True, "127.0.0.1")]
