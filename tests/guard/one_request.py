"""Serves one request with a server of the standard library, on the `socketserver` that it finds.

This is a program, not a test. It runs at the root of the checkout, with the name of a module of the
standard library as its argument. It checks that the server's class derives from ours, and prints
that class.
"""

import contextlib
import http.client
import importlib
import json
import os
import socket
import struct
import sys
import threading
from typing import Any

DEADLINE = float(os.environ["PREFORK_TEST_DEADLINE"])


def get(address: tuple[str, int], path: str = "/") -> bytes:
    """Return the body of a successful answer over HTTP."""
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=DEADLINE)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return answer.read()


class Answering:
    """``with Answering(server):`` serves one request in a thread."""

    def __init__(self, server: Any) -> None:
        self.server = server
        server.timeout = DEADLINE
        self.thread = threading.Thread(target=server.handle_request)

    def __enter__(self) -> tuple[str, int]:
        self.thread.start()
        address: tuple[str, int] = self.server.server_address
        return address

    def __exit__(self, *error: object) -> None:
        self.thread.join(DEADLINE)
        self.server.server_close()


def http_server() -> type:
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Hello(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with Answering(HTTPServer(("127.0.0.1", 0), Hello)) as address:
        assert get(address) == b"hello"
    return HTTPServer


def xmlrpc_server() -> type:
    from xmlrpc.client import ServerProxy
    from xmlrpc.server import SimpleXMLRPCServer

    server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
    server.register_function(lambda word: word * 2, "twice")
    with Answering(server) as (host, port), ServerProxy(f"http://{host}:{port}") as proxy:
        assert proxy.twice("hello") == "hellohello"
    return SimpleXMLRPCServer


def wsgiref_simple_server() -> type:
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    with Answering(make_server("127.0.0.1", 0, application, handler_class=Quiet)) as address:
        assert get(address) == b"hello"
    return WSGIServer


def logging_config() -> type:
    import logging.config

    received: list[bytes] = []
    receiver: Any = logging.config.listen(0, verify=received.append)
    receiver.start()
    assert receiver.ready.wait(DEADLINE)
    settings = json.dumps({"version": 1}).encode()
    address = ("127.0.0.1", receiver.port)
    with socket.create_connection(address, timeout=DEADLINE) as connection:
        connection.sendall(struct.pack(">L", len(settings)) + settings)
        assert connection.recv(1) == b"", "the receiver must close after it has read the settings"
    logging.config.stopListening()
    receiver.join(DEADLINE)
    assert received == [settings]
    # The receiver's own class is local to `listen`; this is its base.
    base: type = vars(logging.config)["ThreadingTCPServer"]
    return base


def pydoc() -> type:
    import pydoc

    start: Any = vars(pydoc)["_start_server"]
    thread = start(lambda url, content_type: f"<p>{url}</p>", "127.0.0.1", 0)
    server: type = type(thread.docserver)
    assert get(thread.docserver.server_address, "/hello") == b"<p>/hello</p>"
    thread.stop()
    return server


def main(name: str) -> None:
    serve: Any = globals()[name.replace(".", "_")]
    answered: type = serve()
    assert name in sys.modules
    ours = importlib.import_module("prefork.socketserver")
    assert sys.modules["socketserver"] is ours, sys.modules["socketserver"]
    assert issubclass(answered, ours.TCPServer), answered.__mro__
    print(f"{answered.__module__}.{answered.__qualname__} served one request")


if __name__ == "__main__":
    main(sys.argv[1])
