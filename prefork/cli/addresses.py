"""Addresses to listen on: `tcp://HOST:PORT`, `udp://HOST:PORT`, `unix://PATH`, `unixgram://PATH`."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefork.cli.outcomes import Refusal, did_you_mean

DEFAULT_BIND = "tcp://127.0.0.1:9999"
EXAMPLES = {
    "tcp": DEFAULT_BIND,
    "udp": "udp://127.0.0.1:9999",
    "unix": "unix:///run/app.sock",
    "unixgram": "unixgram:///run/app.sock",
}
LONGEST_PATH = 107
"""Maximum number of bytes in the path of a Unix socket, unix(7)."""
IN_USE = "another program is already listening on it"


@dataclass(frozen=True)
class Address:
    """An address to listen on. An abstract Unix name has `@` in place of its zero byte."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_ip(self) -> bool:
        return self.scheme in ("tcp", "udp")

    @property
    def is_stream(self) -> bool:
        return self.scheme in ("tcp", "unix")

    @property
    def family(self) -> int:
        if not self.is_ip:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def for_bind(self) -> Any:
        """The address in the form that the constructor of a server takes."""
        if self.is_ip:
            return (self.host, self.port)
        return "\0" + self.path[1:] if self.path.startswith("@") else self.path

    @property
    def file(self) -> Path | None:
        """The path in the file system; `None` if the address does not have one."""
        return None if self.is_ip or self.path.startswith("@") else Path(self.path)

    def __str__(self) -> str:
        return f"{self.scheme}://{shown(self.for_bind)}"


def parse(text: str) -> Address:
    """Parse an address.

    Errors: `ValueError`; its message says what is wrong.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError(f"the protocol is missing; use {EXAMPLES['tcp']}, for example.")
    if scheme not in EXAMPLES:
        raise ValueError(
            f"unknown protocol {scheme!r}; the protocols are {', '.join(EXAMPLES)}."
            + did_you_mean(scheme, EXAMPLES)
        )
    if scheme in ("tcp", "udp"):
        return Address(scheme, *_host_and_port(scheme, rest))
    return Address(scheme, path=_path(scheme, rest))


def _host_and_port(scheme: str, rest: str) -> tuple[str, int]:
    host, colon, port = rest.rpartition(":")
    if not colon or host.count("[") != host.count("]"):  # [::1] without a port
        raise ValueError(f"the port is missing; use {EXAMPLES[scheme]}, for example.")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"an IPv6 address must be in brackets, as in {scheme}://[::1]:9999.")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f"the port is {port!r}; it must be a number from 0 to 65535.")
    return ("" if host == "*" else host), int(port)


def _path(scheme: str, rest: str) -> str:
    if rest in ("", "/", "@"):
        raise ValueError(f"the path is missing; use {EXAMPLES[scheme]}, for example.")
    if (length := len(os.fsencode(rest))) > LONGEST_PATH:
        raise ValueError(f"the path has {length} bytes; the limit is {LONGEST_PATH}.")
    if "\0" in rest:
        raise ValueError("a path cannot contain a zero byte.")
    return rest


def shown(server_address: Any) -> str:
    """Return a server's address as text: `127.0.0.1:9999`, `[::1]:9999`, a path, `@name`."""
    if isinstance(server_address, bytes):
        server_address = os.fsdecode(server_address)
    if isinstance(server_address, str):
        return server_address.replace("\0", "@", 1)
    try:
        host, port = server_address[:2]
    except (TypeError, ValueError):
        return str(server_address)
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def remove_stale(address: Address) -> None:
    """Remove the file of a Unix socket on which no process listens.

    Errors: `Refusal` if a process is listening on it, or if the file is not a socket.
    """
    if address.file is None:
        return
    try:
        if not stat.S_ISSOCK(address.file.lstat().st_mode):
            raise Refusal(f"Cannot listen on {address}: the file exists and is not a socket.")
    except FileNotFoundError:
        return
    except OSError as error:
        raise refusal_of(address, error) from None
    if _answers(address):
        raise Refusal(f"Cannot listen on {address}: {IN_USE}.")
    with contextlib.suppress(FileNotFoundError):
        try:
            address.file.unlink()
        except PermissionError as error:
            raise refusal_of(address, error) from None


def _answers(address: Address) -> bool:
    # A datagram socket does not open a connection that a stream server would have to serve, and
    # connecting it sends nothing to a datagram server.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        # Any other result, such as EPROTOTYPE for a stream socket, means that a process listens.
        return probe.connect_ex(address.path) not in (errno.ECONNREFUSED, errno.ENOENT)


def refusal_of(address: Address, error: OSError) -> Refusal:
    """Return the error for an address that cannot be bound."""
    if isinstance(error, socket.gaierror):
        return Refusal(f"Cannot listen on {address}: unknown host {address.host!r}.")
    if error.errno == errno.EADDRINUSE:
        return Refusal(f"Cannot listen on {address}: {IN_USE}.")
    if error.errno == errno.EADDRNOTAVAIL:
        return Refusal(f"Cannot listen on {address}: this machine has no address {address.host}.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Refusal(f"Cannot listen on {address}: {_not_permitted(address)}.")
    if error.errno == errno.ENOENT and address.file is not None:
        return Refusal(f"Cannot listen on {address}: there is no folder {address.file.parent}.")
    return Refusal(f"Cannot listen on {address}: {error.strerror or error}.")


def _not_permitted(address: Address) -> str:
    if address.file is not None:
        return f"no permission to write to {address.file.parent}"
    return "no permission to use that port (ports below 1024 often need privileges)"
