"""Small parts of the command: finding modules, titles, the figures of the demo."""

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import prefork
from prefork.cli import main
from prefork.cli.demo.command import preset
from prefork.cli.demo.highlight import as_html, sample
from prefork.cli.outcomes import Refusal
from prefork.cli.serve.master_title import MasterTitle
from prefork.cli.streams import stream_on
from prefork.cli.target import loading
from prefork.cli.target.server_class import could_be_handler, could_be_served
from prefork.cli.target.standard_library import standard_library


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is looked in first, with a module and a package."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "prefork_test_app.py").write_text("class Handler:\n    class Inner: pass\n")
    package = tmp_path / "prefork_test_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "handlers.py").write_text("Handler = dict\n")
    (package / "broken.py").write_text("import unheard_of\n")
    loading.look_in(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("prefork_test"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("prefork_test_app:Handler", "Handler"),
        ("prefork_test_app:Handler.Inner", "Inner"),
        ("prefork_test_package.handlers:Handler", "dict"),
    ],
)
def test_what_is_found(here: Path, target: str, name: str) -> None:
    assert loading.load(target).__name__ == name


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("prefork_test_app", "must name a module and what to serve, such as prefork_test_app:Han"),
        ("prefork_test_app:", "must name a module and what to serve"),
        (":Handler", "must name a module and what to serve, such as app:Handler"),
        ("prefork_test_app.py:Handler", "is a file; use the module name: prefork_test_app."),
        ("./a/b.py:Handler", "is a file; use the module name: a.b."),
        ("a-b:Handler", "'a-b' is not a valid module name."),
        ("prefork_test_ap:Handler", "There is no module 'prefork_test_ap' in {here} or on the"),
        ("prefork_test_ap:Handler", "Did you mean 'prefork_test_app'?"),
        ("prefork_test_package.handler:H", "There is no module 'handler' in package 'prefork_tes"),
        ("prefork_test_package.handler:H", "Did you mean 'handlers'?"),
        ("prefork_test_packag.handlers:H", "There is no module 'prefork_test_packag' in"),
        ("prefork_test_app.x:H", "'prefork_test_app' is not a package."),
        ("prefork_test_app:Handlr", "There is no 'Handlr' in module 'prefork_test_app' ({here}/"),
        ("prefork_test_app:Handlr", "Did you mean 'Handler'?"),
        ("prefork_test_app:Handler.Iner", "There is no 'Iner' in prefork_test_app.Handler."),
        ("prefork_test_package.broken:H", "No module named 'unheard_of' ({here}/prefork_test_"),
    ],
)
def test_what_is_not_found(here: Path, target: str, sentence: str) -> None:
    with pytest.raises(Refusal) as caught:
        loading.load(target)
    assert sentence.format(here=here) in str(caught.value)


SERVABLE = """
from socketserver import BaseRequestHandler, TCPServer
class Handlers: handler = 1
class Handler(BaseRequestHandler):
    class Inner: pass
class OtherHandler(BaseRequestHandler): pass
class HandlerServer(TCPServer): pass
def handle(request, client_address, server): pass
def handler_for(name): pass
"""


@pytest.mark.parametrize(
    ("name", "suits", "hint"),
    [
        ("Handlrs", could_be_served, " Did you mean 'Handler' or 'handle' or 'HandlerServer'?"),
        ("Handlrs", could_be_handler, " Did you mean 'Handler' or 'handle' or 'OtherHandler'?"),
        ("HANDLER", could_be_handler, " Did you mean 'Handler' or 'handle' or 'OtherHandler'?"),
        ("BaseRequestHandle", could_be_handler, ""),
        ("Zzz", could_be_served, ""),
        ("Handlr.Inner", could_be_served, " Did you mean 'Handler' or 'Handlers' or 'handle'?"),
    ],
)
def test_only_what_could_be_served_is_offered_the_nearest_first(
    here: Path, name: str, suits: Any, hint: str
) -> None:
    (here / "prefork_test_servable.py").write_text(SERVABLE)
    with pytest.raises(Refusal) as caught:
        loading.load(f"prefork_test_servable:{name}", suits)
    assert str(caught.value).partition(").")[2] == hint


def test_the_standard_librarys_module_is_loaded_beside_this_package() -> None:
    library = standard_library()
    assert library is standard_library()
    assert library.TCPServer is not prefork.TCPServer
    assert library not in sys.modules.values()
    assert Path(str(library.__file__)).parent == Path(sysconfig.get_path("stdlib"))


def pool(address: Any, *in_flight: int) -> Any:
    statuses = [SimpleNamespace(in_flight=count) for count in in_flight]
    server = SimpleNamespace(server_address=address, max_children=8)
    server.prefork_status = lambda: statuses
    server._prefork_members = lambda: [server]
    return server


def test_the_title_counts_each_pool() -> None:
    pools = [pool(("127.0.0.1", 9999), 1, 0, 3), pool("/run/s")]
    assert MasterTitle("app", pools).text() == (
        "prefork: master [app] 127.0.0.1:9999 2/8 busy, /run/s 0/8 busy"
    )
    assert MasterTitle("", pools[1:]).text() == "prefork: master /run/s 0/8 busy"
    group = pool("", 1)
    group._prefork_members = lambda: pools
    assert MasterTitle("", [group]).text() == ("prefork: master 127.0.0.1:9999 + /run/s 1/8 busy")


def test_without_pools_to_show_the_title_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("setproctitle.setproctitle", shown.append)
    title = MasterTitle("app", [])
    title.show()
    title.show_the_end()
    assert shown == []


def test_the_title_is_renewed_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    shown: list[str] = []
    title = MasterTitle("", [pool("/s", 1)], lambda: now)
    monkeypatch.setattr("setproctitle.setproctitle", shown.append)
    for moment in (0.0, 0.5, 0.9):
        now = moment
        title.show()
    assert shown == ["prefork: master /s 1/8 busy"]
    title._servers = [pool("/s")]
    now = 1.0
    title.show()
    now = 2.0
    title.show()  # nothing new
    title.show_the_end()
    assert shown[1:] == ["prefork: master /s 0/8 busy", "prefork: master /s 0/8 busy, draining"]


def test_a_stream_swallows_what_cannot_be_written() -> None:
    with open("/dev/full", "wb") as full:
        stream = stream_on(full.fileno())
        assert stream.write("word\n") == 5
        stream.flush()
        stream.close()


@pytest.mark.parametrize(
    ("cores", "counts"),
    [(1, [1]), (2, [1, 2]), (4, [1, 2, 3, 4]), (6, [1, 2, 3, 4, 6]), (16, [1, 2, 3, 4, 8, 16])],
)
def test_the_demo_is_a_bench_of_more_and_more_workers(cores: int, counts: list[int]) -> None:
    options = preset(20.0, cores)
    options.check()
    assert (options.strategies, options.max_children) == (("accept",), tuple(counts))
    assert options.clients == 2 * cores


def test_the_job_of_the_demo_is_real() -> None:
    html = as_html(sample())
    assert html.endswith(b"</pre></div>\n")
    assert b'<span class="k">class</span>' in html


@pytest.mark.parametrize(
    "words", [["--help"], ["serve", "--help"], ["run", "--help"], ["demo", "-h"], ["bench", "-h"]]
)
def test_the_help_has_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert "prefork" in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{prefork.__version__}\n"


def test_a_refusal_is_one_sentence_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serv"]) == 2
    assert capsys.readouterr().err == (
        'prefork: Unknown command "serv". Did you mean "serve"? '
        "Available commands: serve, run, demo, bench, tune. See `prefork --help`.\n"
    )
