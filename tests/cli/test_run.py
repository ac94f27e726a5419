"""`prefork run`: an existing program, on our module and otherwise as ever."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.kit import Program
from tests.support.children import children_of, reap_orphans
from tests.support.clients import ask
from tests.support.polling import eventually

Start = Callable[..., Program]

SAY = """\
import json, os, sys, socketserver, http.server, __main__
print(json.dumps({
    "arguments": sys.argv,
    "path": sys.path[0],
    "main": __main__.__file__ == __file__ and __name__ == "__main__",
    "module": socketserver.BaseServer.serve_forever.__globals__["__name__"],
    "http": issubclass(http.server.HTTPServer, socketserver.TCPServer),
    "server": socketserver.TCPServer.__module__,
}))
"""


def said(one: Program, code: int = 0) -> dict[str, object]:
    assert one.exit_code() == code, one.err
    answer: dict[str, object] = json.loads(one.out)
    return answer


def test_a_script_runs_on_our_module(program: Start, folder: Path) -> None:
    script = folder / "scripts" / "say.py"
    script.parent.mkdir()
    script.write_text(SAY)
    words = ["scripts/say.py", "--help", "--pool", "-m", "--", "--version"]
    assert said(program("run", *words)) == {
        "arguments": words,
        "path": str(script.parent),
        "main": True,
        "module": "prefork.socketserver.servers",
        "http": True,
        "server": "socketserver",
    }


def test_a_module_runs_on_our_module(program: Start, folder: Path) -> None:
    (folder / "say.py").write_text(SAY)
    answer = said(program("run", "-m", "say", "--help", "-m", "x"))
    assert answer["arguments"] == [str(folder / "say.py"), "--help", "-m", "x"]
    assert answer["path"] == str(folder)
    assert answer["module"] == "prefork.socketserver.servers"


def test_modules_that_came_before_us_come_anew(program: Start, folder: Path, modules: Path) -> None:
    (folder / "say.py").write_text(SAY)
    (modules / "sitecustomize.py").write_text("import http.server, logging.config, socketserver")
    answer = said(program("run", "say.py"))
    assert answer["module"] == "prefork.socketserver.servers"
    assert answer["http"] is True


@pytest.mark.parametrize(
    ("source", "code", "error"),
    [
        ("raise SystemExit(7)", 7, ""),
        ("import sys; sys.exit('a word')", 1, "a word\n"),
        ("pass", 0, ""),
    ],
)
def test_the_exit_code_is_the_programs(
    program: Start, folder: Path, source: str, code: int, error: str
) -> None:
    (folder / "script.py").write_text(source)
    one = program("run", "script.py")
    assert one.exit_code() == code
    assert one.err == error


def test_the_traceback_is_the_programs(program: Start, folder: Path) -> None:
    (folder / "script.py").write_text("import json\njson.loads('x')\n")
    one = program("run", "script.py")
    assert one.exit_code() == 1
    lines = one.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == '  File "script.py", line 2, in <module>'


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "The program is missing: add SCRIPT.py, or -m MODULE."),
        (["-m"], "The module after -m is missing."),
        (["scrip.py"], "There is no program 'scrip.py'. Did you mean 'script.py'?"),
        (["-m", "http.sever"], "There is no module 'sever' in package 'http'"),
        (["-m", "email"], "Cannot run the package 'email': it has no __main__."),
        (
            ["--threads", "2", "script.py"],
            "Pool options need --pool: `prefork run --pool ...`.",
        ),
        (
            ["--no-gc-freeze", "script.py"],
            "Pool options need --pool: `prefork run --pool ...`.",
        ),
        (["--threads", "x", "script.py"], "--threads 'x': it must be a whole number >= 0."),
        (["--pool=maybe", "script.py"], "--pool 'maybe': it must be true or false."),
        (["--pol", "script.py"], "Unknown option: --pol. Did you mean --pool?"),
    ],
)
def test_an_unusable_program_is_refused_with_a_sentence(
    forked: Start, folder: Path, words: list[str], sentence: str
) -> None:
    (folder / "script.py").write_text("")
    one = forked("run", *words)
    assert one.exit_code() == 2
    assert one.err.startswith(f"prefork: {sentence}")
    assert one.err.count("\n") == 1


def test_the_environment_and_the_file_are_not_for_programs(program: Start, folder: Path) -> None:
    (folder / "prefork.toml").write_text("nothing = 1")
    (folder / "script.py").write_text("import os; print(os.environ['PREFORK_NOTHING'])")
    one = program("run", "script.py", PREFORK_NOTHING="word")
    assert one.exit_code() == 0
    assert one.out == "word\n"


def test_http_server_serves_files(program: Start, folder: Path) -> None:
    (folder / "file").write_text("some text")
    one = program("run", "-m", "http.server", 0, "--bind", "127.0.0.1", PYTHONUNBUFFERED="1")
    assert files_are_served(one)
    assert children_of(one.pid) == set()
    one.signal(signal.SIGINT)
    assert one.exit_code() == 0


@pytest.mark.parametrize("options", [(), ("--threads", 2)])
def test_http_server_becomes_a_pool(
    program: Start, folder: Path, options: tuple[object, ...]
) -> None:
    (folder / "file").write_text("some text")
    command = ("run", "--pool", "--max-children", 3, *options, "-m", "http.server")
    one = program(*command, 0, "--bind", "127.0.0.1", PYTHONUNBUFFERED="1")
    assert files_are_served(one)
    eventually(lambda: len(children_of(one.pid)) == 3, what="three workers")
    one.signal(signal.SIGINT)
    assert one.exit_code() == 0


def files_are_served(one: Program) -> bool:
    port = int(one.wait_for(r"port (\d+)", "out")[1])
    return ask(("127.0.0.1", port), b"GET /file HTTP/1.0\r\n\r\n").endswith(b"some text")


SERVER = """\
import os, socketserver

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"%d" % os.getpid())

class Server({bases}):
    pass

with Server(("127.0.0.1", 0), Handler) as server:
    print("port", server.server_address[1], flush=True)
    server.serve_forever()
"""


@pytest.mark.parametrize(
    "bases",
    [
        "socketserver.ForkingMixIn, socketserver.TCPServer",
        "socketserver.ThreadingMixIn, socketserver.TCPServer",
        "socketserver.ForkingMixIn, socketserver.ThreadingMixIn, socketserver.TCPServer",
        "socketserver.ForkingTCPServer",
        "socketserver.ThreadingTCPServer",
    ],
)
def test_every_kind_of_server_becomes_a_pool(program: Start, folder: Path, bases: str) -> None:
    (folder / "server.py").write_text(SERVER.format(bases=bases))
    one = program("run", "--pool", "--max-children", 2, "server.py")
    address = ("127.0.0.1", int(one.wait_for(r"port (\d+)", "out")[1]))
    # The first worker may serve before the second is forked.
    eventually(lambda: len(children_of(one.pid)) >= 2, what="second worker")
    pids = {int(ask(address)) for _ in range(20)}
    assert pids <= children_of(one.pid)
    assert len(children_of(one.pid)) == 2
    orphans = children_of(one.pid)
    one.signal(signal.SIGTERM)  # nothing that the program has asked for
    assert one.exit_code() == -signal.SIGTERM
    reap_orphans(*orphans)


def test_without_pool_a_forking_server_is_as_documented(program: Start, folder: Path) -> None:
    (folder / "server.py").write_text(SERVER.format(bases="socketserver.ForkingTCPServer"))
    one = program("run", "server.py")
    address = ("127.0.0.1", int(one.wait_for(r"port (\d+)", "out")[1]))
    assert len({ask(address) for _ in range(3)}) == 3
