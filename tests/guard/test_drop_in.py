"""Who answers to the name `socketserver`: at the root we do, elsewhere nobody new."""

from pathlib import Path

import pytest

from tests.guard.checkout import ROOT, fresh

# What the documentation of the standard library's module names.
DOCUMENTED = {
    "BaseRequestHandler",
    "BaseServer",
    "DatagramRequestHandler",
    "ForkingMixIn",
    "ForkingTCPServer",
    "ForkingUDPServer",
    "ForkingUnixDatagramServer",
    "ForkingUnixStreamServer",
    "StreamRequestHandler",
    "TCPServer",
    "ThreadingMixIn",
    "ThreadingTCPServer",
    "ThreadingUDPServer",
    "ThreadingUnixDatagramServer",
    "ThreadingUnixStreamServer",
    "UDPServer",
    "UnixDatagramServer",
    "UnixStreamServer",
}
OURS = {
    "PreforkMixIn",
    "PreforkTCPServer",
    "PreforkUDPServer",
    "PreforkUnixDatagramServer",
    "PreforkUnixStreamServer",
}

ONE_REQUEST = str(Path(__file__).with_name("one_request.py"))
RUN_ONE_REQUEST = """
import runpy, sys
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder from which `prefork` is imported as if installed: without the rest of the root."""
    (tmp_path / "prefork").symlink_to(ROOT / "prefork")
    return tmp_path


@pytest.mark.parametrize(
    "imports",
    [
        "import socketserver, prefork.socketserver",
        "import prefork.socketserver, socketserver",
        "import prefork, socketserver",
        "import http.server, prefork.socketserver, socketserver",
    ],
)
def test_at_the_root_both_names_are_one_module(imports: str) -> None:
    same = "print(socketserver is prefork.socketserver, socketserver.TCPServer.__module__)"
    assert fresh(f"{imports}; {same}") == "True socketserver"


@pytest.mark.parametrize(
    "module",
    ["http.server", "xmlrpc.server", "wsgiref.simple_server", "logging.config", "pydoc"],
)
def test_at_the_root_the_standard_librarys_servers_run_on_us(module: str) -> None:
    assert fresh(RUN_ONE_REQUEST, ONE_REQUEST, module).endswith("served one request")


def test_elsewhere_the_standard_library_keeps_its_module(elsewhere: Path) -> None:
    code = (
        "import prefork.socketserver, http.server, sys\n"
        "print(sys.modules['socketserver'] is prefork.socketserver,"
        " issubclass(http.server.HTTPServer, prefork.socketserver.TCPServer))"
    )
    assert fresh(code, folder=elsewhere) == "False False"


def test_elsewhere_we_take_the_place_when_asked_to(elsewhere: Path) -> None:
    code = (
        "from prefork.socketserver.dropin import install; install()\n"
        "import prefork.socketserver, http.server, socketserver\n"
        "print(socketserver is prefork.socketserver,"
        " issubclass(http.server.HTTPServer, prefork.socketserver.TCPServer))"
    )
    assert fresh(code, folder=elsewhere) == "True True"


def test_the_front_door_offers_every_documented_name(elsewhere: Path) -> None:
    code = (
        "import prefork as socketserver, prefork.socketserver as api, sys\n"
        "for name in sys.argv[1:]:\n"
        "    assert getattr(socketserver, name) is getattr(api, name), name\n"
        "    assert name in socketserver.__all__ and name in api.__all__, name\n"
        "assert set(api.__all__) <= set(socketserver.__all__)"
    )
    fresh(code, *sorted(DOCUMENTED | OURS), folder=elsewhere)


def test_none_of_our_modules_loads_the_standard_librarys(elsewhere: Path) -> None:
    """Else http.server and its like would get that one, at the root as well as under `install()`.

    The command line is left out: it sits above both modules and may compare them.
    """
    code = (
        "import importlib, pkgutil, sys, prefork\n"
        "names = [found.name for found in pkgutil.walk_packages(prefork.__path__, 'prefork.',"
        " onerror=sys.exit)]\n"
        "names = [name for name in names"
        " if not name.startswith('prefork.cli') and not name.endswith('__main__')]\n"
        "assert {'prefork.socketserver.servers', 'prefork.workers.loop'} <= set(names), names\n"
        "for name in names:\n"
        "    importlib.import_module(name)\n"
        "    assert 'socketserver' not in sys.modules, name"
    )
    fresh(code, folder=elsewhere)
