"""The modules that the documented API loads: a program without a pool should not pay for a pool."""

from pathlib import Path

import pytest

from tests.guard.checkout import fresh

MOST_MODULES = 45

LOADED = """
import sys
import socketserver
before = set(sys.modules)
import {module}
print(*sorted(set(sys.modules) - before))
"""


def loaded(module: str, folder: Path) -> list[str]:
    """Return the modules that an import loads in addition to the standard library's module."""
    return fresh(LOADED.format(module=module), folder=folder).split()


@pytest.mark.parametrize("module", ["prefork.socketserver", "prefork"])
def test_the_documented_api_loads_few_modules(module: str, elsewhere: Path) -> None:
    found = loaded(module, elsewhere)
    assert "prefork.socketserver.servers" in found
    assert len(found) <= MOST_MODULES
    heavy = {
        "ast",
        "dataclasses",
        "inspect",
        "logging",
        "pathlib",
        "traceback",
        "typing",
        "weakref",
    }
    assert not heavy & set(found)


@pytest.mark.parametrize(
    "room", ["prefork.master", "prefork.settings", "prefork.socketserver.pool"]
)
def test_the_documented_api_loads_nothing_of_the_pool(room: str, elsewhere: Path) -> None:
    assert not [name for name in loaded("prefork", elsewhere) if name.startswith(room)]


def test_the_names_of_the_pool_are_loaded_when_they_are_used(elsewhere: Path) -> None:
    code = (
        "import sys, prefork, prefork.socketserver as api\n"
        "assert 'PreforkTCPServer' in dir(api) and 'Settings' in dir(prefork)\n"
        "assert 'prefork.master.master' not in sys.modules\n"
        "assert prefork.PreforkTCPServer is api.PreforkTCPServer\n"
        "assert 'prefork.master.master' in sys.modules\n"
        "assert prefork.Settings().strategy == 'accept'\n"
        "for module in prefork, api:\n"
        "    try:\n"
        "        module.PreforkNothing\n"
        "    except AttributeError as error:\n"
        "        assert 'PreforkNothing' in str(error)\n"
        "    else:\n"
        "        raise AssertionError(module)"
    )
    fresh(code, folder=elsewhere)


def test_without_logging_a_warning_is_written_to_standard_error(elsewhere: Path) -> None:
    """The last-resort handler of `logging` would do the same, but `logging` is not loaded."""
    code = (
        "import sys\n"
        "from prefork.socketserver.loop import warn\n"
        "warn('no %s left', 'descriptor', event='accept_exhausted')\n"
        "assert 'logging' not in sys.modules"
    )
    assert fresh(code, folder=elsewhere) == "no descriptor left"


def test_loading_the_pool_keeps_the_names_that_a_program_has_replaced(elsewhere: Path) -> None:
    code = (
        "import prefork.socketserver as api\n"
        "api.PreforkTCPServer = 'mine'\n"
        "api.PreforkMixIn\n"
        "assert api.PreforkTCPServer == 'mine'"
    )
    fresh(code, folder=elsewhere)


def test_an_error_is_reported_where_no_module_can_be_loaded(elsewhere: Path) -> None:
    """Out of descriptors, or in another root directory; the loop used to end with this error."""
    code = (
        "import sys, prefork\n"
        "server = prefork.BaseServer(('', 0), None)\n"
        "assert 'traceback' not in sys.modules\n"
        "sys.meta_path.clear()\n"
        "try:\n"
        "    raise ValueError('out of cheese')\n"
        "except ValueError:\n"
        "    server.handle_error(None, ('client', 1))"
    )
    printed = fresh(code, folder=elsewhere)
    assert "Exception occurred during processing of request from ('client', 1)" in printed
    assert "ValueError: out of cheese" in printed
