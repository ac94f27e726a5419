"""Both sides of TLS connections to a pool; *certificate* is the value of that fixture."""

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

from tests.support.clients import connect


def wrapped(server: Any, certificate: tuple[str, str]) -> Any:
    """Wrap the listener of a server in TLS after construction, as users of `http.server` do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


@contextlib.contextmanager
def secure(address: Any, certificate: tuple[str, str]) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=certificate[0])
    plain = connect(address)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
        yield client


def ask_securely(address: Any, certificate: tuple[str, str], request: bytes) -> bytes:
    with secure(address, certificate) as client:
        client.sendall(request)
        return client.recv(1000)
