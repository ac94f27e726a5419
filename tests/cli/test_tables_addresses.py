"""`--bind`: what is understood, what is refused and how, and how an address is shown."""

import errno
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from prefork.cli.addresses import Address, parse, refusal_of, remove_stale, shown
from prefork.cli.outcomes import Refusal


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tcp://127.0.0.1:9999", Address("tcp", "127.0.0.1", 9999)),
        ("udp://127.0.0.1:0", Address("udp", "127.0.0.1", 0)),
        ("tcp://[::1]:9999", Address("tcp", "::1", 9999)),
        ("tcp://[fe80::1%eth0]:1", Address("tcp", "fe80::1%eth0", 1)),
        ("tcp://localhost:65535", Address("tcp", "localhost", 65535)),
        ("tcp://:80", Address("tcp", "", 80)),
        ("tcp://*:80", Address("tcp", "", 80)),
        ("unix:///run/s", Address("unix", path="/run/s")),
        ("unix://s", Address("unix", path="s")),
        ("unix://@name", Address("unix", path="@name")),
        ("unixgram:///run/s", Address("unixgram", path="/run/s")),
    ],
)
def test_an_address_is_understood(text: str, address: Address) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("127.0.0.1:9999", "the protocol is missing; use tcp://127.0.0.1:9999"),
        (
            "tpc://x:1",
            "unknown protocol 'tpc'; the protocols are tcp, udp, unix, unixgram. Did you mean",
        ),
        ("http://x:1", "unknown protocol 'http'"),
        ("tcp://127.0.0.1", "the port is missing"),
        ("tcp://[::1]", "the port is missing"),
        ("tcp://::1:9999", "an IPv6 address must be in brackets"),
        ("tcp://x:65536", "the port is '65536'; it must be a number from 0 to 65535"),
        ("tcp://x:-1", "the port is '-1'"),
        ("tcp://x:http", "the port is 'http'"),
        ("tcp://x:", "the port is ''"),
        ("tcp://x:²", "the port is '²'"),
        ("unix://", "the path is missing"),
        ("unix:///", "the path is missing"),
        ("unix:///" + "a" * 107, "the path has 108 bytes; the limit is 107"),
        ("unix:///a\0b", "a path cannot contain a zero byte"),
    ],
)
def test_a_wrong_address_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse(text)


@pytest.mark.parametrize(
    ("text", "family", "for_bind"),
    [
        ("tcp://127.0.0.1:1", socket.AF_INET, ("127.0.0.1", 1)),
        ("udp://[::1]:1", socket.AF_INET6, ("::1", 1)),
        ("unix:///s", socket.AF_UNIX, "/s"),
        ("unixgram://@s", socket.AF_UNIX, "\0s"),
    ],
)
def test_what_a_server_is_given(text: str, family: int, for_bind: Any) -> None:
    address = parse(text)
    assert (address.family, address.for_bind) == (family, for_bind)
    assert str(address) == text


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("127.0.0.1", 9999), "127.0.0.1:9999"),
        (("::1", 9999, 0, 0), "[::1]:9999"),
        ("/run/s", "/run/s"),
        (b"\0name", "@name"),
        (None, "None"),
    ],
)
def test_an_address_is_shown_as_people_write_it(address: Any, text: str) -> None:
    assert shown(address) == text


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        (
            "tcp://h:1",
            errno.EADDRINUSE,
            "Cannot listen on tcp://h:1: another program is already listening on it.",
        ),
        ("tcp://h:1", errno.EACCES, "no permission to use that port"),
        ("unix:///run/s", errno.EACCES, "no permission to write to /run"),
        ("tcp://h:1", errno.EADDRNOTAVAIL, "this machine has no address h"),
        ("unix:///no/s", errno.ENOENT, "there is no folder /no"),
        ("tcp://h:1", errno.ENOBUFS, "No buffer space available"),
    ],
)
def test_an_address_that_cannot_be_bound_is_refused_with_the_reason(
    text: str, number: int, words: str
) -> None:
    error = OSError(number, "No buffer space available")
    assert words in str(refusal_of(parse(text), error))


def test_a_host_that_is_not_known() -> None:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert "unknown host 'h'" in str(refusal_of(parse("tcp://h:1"), error))


def test_a_stale_socket_is_removed(short_path: Path) -> None:
    path = short_path / "s"
    with socket.socket(socket.AF_UNIX) as former:
        former.bind(str(path))
    remove_stale(parse(f"unix://{path}"))
    assert not path.exists()
    remove_stale(parse(f"unix://{path}"))  # nothing to do


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("scheme", ["unix", "unixgram"])
def test_a_socket_that_answers_stays_and_does_not_notice(
    short_path: Path, kind: int, scheme: str
) -> None:
    path = short_path / "s"
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(str(path))
        if kind == socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(Refusal, match="another program is already listening on it"):
            remove_stale(parse(f"{scheme}://{path}"))
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(1) if kind == socket.SOCK_DGRAM else other.accept()
    assert path.exists()


def test_another_kind_of_file_stays(short_path: Path) -> None:
    path = short_path / "s"
    path.write_text("precious")
    with pytest.raises(Refusal, match="the file exists and is not a socket"):
        remove_stale(parse(f"unix://{path}"))
    assert path.read_text() == "precious"
