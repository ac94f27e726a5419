"""`import socketserver` finds our module at the root of a checkout, the library's elsewhere."""

from pathlib import Path

import pytest

from tests.guard.checkout import fresh
from tests.support.checkout import as_if_installed

ONE_REQUEST = str(Path(__file__).with_name("one_request.py"))
RUN_ONE_REQUEST = """
import runpy, sys
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

WHICH_MODULE = """
import prefork.socketserver, http.server, sys
print(sys.modules["socketserver"] is prefork.socketserver)
print(issubclass(http.server.HTTPServer, prefork.socketserver.TCPServer))
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder from which `prefork` is imported as if installed."""
    return as_if_installed(tmp_path)


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
    [
        "http.server",
        "xmlrpc.server",
        "wsgiref.simple_server",
        # These two check once a second whether they must end.
        pytest.param("logging.config", marks=pytest.mark.slow),
        pytest.param("pydoc", marks=pytest.mark.slow),
    ],
)
def test_at_the_root_the_standard_librarys_servers_run_on_our_module(module: str) -> None:
    assert fresh(RUN_ONE_REQUEST, ONE_REQUEST, module).endswith("served one request")


def test_elsewhere_the_standard_library_keeps_its_module(elsewhere: Path) -> None:
    assert fresh(WHICH_MODULE, folder=elsewhere) == "False\nFalse"


def test_elsewhere_install_puts_our_module_in_its_place(elsewhere: Path) -> None:
    ask = "from prefork.socketserver.dropin import install; install()"
    assert fresh(ask + WHICH_MODULE, folder=elsewhere) == "True\nTrue"


def test_the_front_door_offers_every_name_of_the_api(elsewhere: Path) -> None:
    """`tests/documented` checks which names these are."""
    code = (
        "import prefork as socketserver, prefork.socketserver as api\n"
        "assert api.__all__\n"
        "for name in api.__all__:\n"
        "    assert getattr(socketserver, name) is getattr(api, name), name\n"
        "    assert name in socketserver.__all__, name"
    )
    fresh(code, folder=elsewhere)


def test_none_of_our_modules_loads_the_standard_librarys(elsewhere: Path) -> None:
    """Otherwise http.server and others would get that module, at the root and after `install()`.

    The command line is excluded: it may import both modules.
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
