"""The pool as a mix-in for servers of the standard library, and rule 4 for their loop.

Each program runs in an interpreter of its own, with the standard library's `socketserver` or ours.
"""

import http.client
import xmlrpc.client
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import ask
from tests.support.deadlines import EXCHANGE, stretched
from tests.support.pools import PERSISTENT
from tests.support.programs import program

BEGIN = """
import os, sys, threading
if {ours}:
    import prefork.socketserver
    sys.modules["socketserver"] = prefork.socketserver
import socketserver
from prefork import PreforkMixIn, Settings
assert (socketserver.__name__ == "prefork.socketserver") is {ours}

class Pool(PreforkMixIn):
    max_children = 2
    prefork_settings = Settings(strategy={strategy!r})
"""

END = """
assert isinstance(server, socketserver.BaseServer)
port = server.server_address[1]
print("serving on", port)
with server:
    server.serve_forever()
import socket
try:
    socket.create_connection(("127.0.0.1", port), 5)
except ConnectionRefusedError:
    print("ended")
"""


def over(*pairs: str) -> pytest.MarkDecorator:
    """Run a test with each of these pairs of a module and a strategy."""
    words = [pair.split("-") for pair in pairs]
    values = [(module == "ours", strategy) for module, strategy in words]
    return pytest.mark.parametrize(("ours", "strategy"), values, ids=pairs)


# Under the other strategies our module is tested in all other files.
over_all = over("stdlib-accept", "stdlib-fork", "stdlib-handoff", "stdlib-reuseport", "ours-accept")
over_some = over("stdlib-handoff", "ours-accept")


@pytest.fixture
def serving_program(ours: bool, strategy: str, elsewhere: Path) -> Any:
    """Runs a program that makes a `server` and serves with it until a handler stops it."""
    begin = BEGIN.format(ours=ours, strategy=strategy)
    return lambda code: program(begin + code + END, elsewhere)


def get(address: tuple[str, int], path: str = "/", connections: int = 1) -> list[bytes]:
    bodies = []
    for _ in range(connections):
        connection = http.client.HTTPConnection(*address, timeout=stretched(EXCHANGE))
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200
        bodies.append(response.read())
        connection.close()
    return bodies


HTTP = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"%d" % os.getpid())
        if self.path == "/quit":
            self.server.shutdown()

    def log_message(self, *args):
        pass

class Server(Pool, {base}):
    {body}

server = Server(("127.0.0.1", 0), Handler)
"""


@over_all
@pytest.mark.parametrize("base", ["http.server.HTTPServer", "http.server.ThreadingHTTPServer"])
def test_an_http_server_may_have_a_pool(serving_program: Any, base: str, strategy: str) -> None:
    """This is the most common base class of all."""
    with serving_program(HTTP.format(base=base, body="pass")) as it:
        address = it.address()
        pids = {int(body) for body in get(address, connections=8)}
        assert it.pid not in pids
        if strategy in PERSISTENT:
            assert pids <= it.workers(2)
        get(address, "/quit")
        assert it.ends() == 0, it.errors()
        assert it.remaining_output() == "ended\n"
        assert it.errors() == ""


@over_all
def test_rule_4_serve_forever_of_http_server_called_by_name(
    serving_program: Any, ours: bool, strategy: str
) -> None:
    """With our module, `HTTPServer.serve_forever(self)` is our loop with the whole pool.

    With the standard library's module it is the loop of that module, and workers serve requests.
    """
    body = """
    def serve_forever(self, poll_interval=0.01):
        http.server.HTTPServer.serve_forever(self, poll_interval)
"""
    with serving_program(HTTP.format(base="http.server.HTTPServer", body=body)) as it:
        address = it.address()
        pids = {int(body) for body in get(address, connections=4)}
        assert it.pid not in pids
        if ours and strategy in PERSISTENT:
            assert pids <= it.workers(2)
        get(address, "/quit")
        assert it.ends() == 0, it.errors()
        assert it.remaining_output() == "ended\n"


@over_some
def test_a_wsgi_server_may_have_a_pool(serving_program: Any) -> None:
    """The reference server of WSGI works with a pool."""
    code = """
from wsgiref.simple_server import WSGIServer, WSGIRequestHandler, make_server

class Server(Pool, WSGIServer):
    pass

class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/quit":
        server.shutdown()
    return [b"%d" % os.getpid()]

server = make_server("127.0.0.1", 0, application, server_class=Server, handler_class=Quiet)
"""
    with serving_program(code) as it:
        address = it.address()
        pids = {int(body) for body in get(address, connections=8)}
        assert it.pid not in pids
        get(address, "/quit")
        assert it.ends() == 0, it.errors()
        assert it.remaining_output() == "ended\n"
        assert it.errors() == ""


@over_some
def test_an_xmlrpc_server_may_have_a_pool(serving_program: Any) -> None:
    """Functions are registered between construction and serving."""
    code = """
from xmlrpc.server import SimpleXMLRPCServer

class Server(Pool, SimpleXMLRPCServer):
    pass

def quit():
    server.shutdown()
    return True

server = Server(("127.0.0.1", 0), logRequests=False)
server.register_function(os.getpid)
server.register_function(pow)
server.register_function(quit)
"""
    with serving_program(code) as it:
        host, port = it.address()
        for _ in range(3):
            with xmlrpc.client.ServerProxy(f"http://{host}:{port}") as proxy:
                assert proxy.pow(2, 5) == 32
                assert proxy.getpid() != it.pid
        with xmlrpc.client.ServerProxy(f"http://{host}:{port}") as proxy:
            proxy.quit()
        assert it.ends() == 0, it.errors()
        assert it.remaining_output() == "ended\n"
        assert it.errors() == ""


STREAM = """
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        word = self.rfile.readline().strip()
        self.wfile.write(b"%d" % os.getpid())
        if word == b"quit":
            self.server.shutdown()

class Server(Pool, socketserver.{base}):
    pass

server = Server({address}, Handler)
"""


@over("stdlib-fork", "stdlib-handoff", "ours-accept")
@pytest.mark.parametrize("base", ["TCPServer", "ThreadingTCPServer", "ForkingTCPServer"])
def test_each_documented_server_may_have_a_pool(serving_program: Any, base: str) -> None:
    """The pool as a mix-in for each documented combination."""
    code = STREAM.format(base=base, address=("127.0.0.1", 0))
    with serving_program(code) as it:
        address = it.address()
        for _ in range(4):
            assert int(ask(address, b"x\n")) != it.pid
        ask(address, b"quit\n")
        assert it.ends() == 0, it.errors()
        assert it.remaining_output() == "ended\n"
        assert it.errors() == ""


@over_some
def test_a_live_http_connection_holds_its_worker(serving_program: Any) -> None:
    """With HTTP/1.1 keep-alive, one process serves all requests of a connection."""
    code = HTTP.format(base="http.server.HTTPServer", body="pass")
    code += 'Handler.protocol_version = "HTTP/1.1"\n'
    code = code.replace(
        "self.end_headers()",
        "body = b'%08d' % os.getpid()\n        "
        "self.send_header('Content-Length', '8')\n        self.end_headers()",
    ).replace('self.wfile.write(b"%d" % os.getpid())', "self.wfile.write(body)")
    with serving_program(code) as it:
        address = it.address()
        connection = http.client.HTTPConnection(address[0], address[1], timeout=stretched(EXCHANGE))
        bodies = set()
        for _ in range(5):
            connection.request("GET", "/")
            bodies.add(connection.getresponse().read())
        assert len(bodies) == 1
        assert int(bodies.pop()) != it.pid
        connection.close()
        get(address, "/quit")
        assert it.ends() == 0, it.errors()
