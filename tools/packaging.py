"""Installs prefork in every way, and uses the result from outside the checkout.

    python tools/packaging.py           a wheel, an sdist, and three installs of the checkout
    python tools/packaging.py wheel     the wheel alone

Each way is tried on a copy of the checkout in a temporary folder, with its own virtual environment.
A program then uses prefork from another folder: it imports every module of the checkout, serves
with two servers, and runs the command. It prints a line for each way; the exit status is 1 if
one has failed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COMMAND_DEADLINE = 300.0  # building and installing may download packages

# Folders of the checkout that are not needed for an installation.
LEFT_OUT = (".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", ".*_cache")

# A user's program; it runs in the new environment, outside of the checkout. Its arguments are the
# folder from which prefork must be imported, and the names of all modules.
USE = """
import importlib, importlib.metadata, importlib.resources
import socket, subprocess, sys, sysconfig, threading
from pathlib import Path

import prefork as socketserver
import prefork.socketserver
import prefork.workers

source, *modules = sys.argv[1:]
for module in (prefork, prefork.socketserver, prefork.workers):
    assert Path(module.__file__).is_relative_to(source), f"{module.__file__} is not in {source}"

for name in modules:
    importlib.import_module(name)
assert socketserver.TCPServer is prefork.socketserver.TCPServer
assert importlib.resources.files("prefork").joinpath("py.typed").is_file(), "py.typed is missing"

# The standard library's module keeps its name; ours replaces it only on request.
import http.server
assert sys.modules["socketserver"] is not prefork.socketserver
assert not issubclass(http.server.HTTPServer, prefork.socketserver.TCPServer)


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline())


for kind in (socketserver.TCPServer, socketserver.PreforkTCPServer):
    with kind(("127.0.0.1", 0), Echo) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            with socket.create_connection(server.server_address, timeout=10) as client:
                client.sendall(b"hello\\n")
                assert client.makefile("rb").read() == b"hello\\n", kind
        finally:
            server.shutdown()
            serving.join()

program = Path(sysconfig.get_path("scripts"), "prefork")
for command in ([str(program)], [sys.executable, "-m", "prefork"]):
    answer = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, (command, answer.stderr)
    assert "serve" in answer.stdout, (command, answer.stdout)

print(importlib.metadata.version("prefork"), Path(prefork.socketserver.__file__).parent)
"""


class Failure(Exception):
    """A command failed; the message says which, and what it printed."""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command to its end and return what it wrote to its standard output."""
    try:
        answer = subprocess.run(
            list(map(str, command)),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=COMMAND_DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{command[0]} still ran after {COMMAND_DEADLINE:.0f} s") from late
    if answer.returncode:
        words = " ".join(map(str, command[:5]))
        output = answer.stdout + answer.stderr
        raise Failure(f"{words} ... exited with status {answer.returncode}:\n{output}")
    return answer.stdout


def build(kind: str, checkout: Path) -> Path:
    """Build a wheel or an sdist and return its path."""
    if importlib.util.find_spec("build") is None:
        raise Failure(f"{sys.executable} has no module `build`; `make packaging` installs it.")
    run(sys.executable, "-m", "build", f"--{kind}", "--outdir", "dist", ".", cwd=checkout)
    pattern = {"wheel": "*.whl", "sdist": "*.tar.gz"}[kind]
    (built,) = (checkout / "dist").glob(pattern)
    return built


def modules_of(checkout: Path) -> list[str]:
    """Return the full names of a checkout's modules, except `__main__` modules."""
    names = []
    for folder, _, files in os.walk(checkout / "prefork", followlinks=True):
        package = Path(folder).relative_to(checkout).parts
        modules = [Path(file).stem for file in files if file.endswith(".py")]
        names += [".".join((*package, module)) for module in modules if module != "__main__"]
    return sorted(name.removesuffix(".__init__") for name in names)


@dataclass(frozen=True)
class Way:
    """A way to install: pip's arguments, and whether the checkout is needed afterwards."""

    arguments: Callable[[Path], list[str | Path]]
    needs_checkout: bool = False


STRICT = ("--config-settings", "editable_mode=strict")
WAYS = {
    "plain": Way(lambda checkout: [checkout]),
    "editable": Way(lambda checkout: ["--editable", checkout], needs_checkout=True),
    "strict": Way(lambda checkout: [*STRICT, "--editable", checkout], needs_checkout=True),
    "wheel": Way(lambda checkout: [build("wheel", checkout)]),
    "sdist": Way(lambda checkout: [build("sdist", checkout)]),
}


def try_way(way: Way, folder: Path) -> str:
    """Install in one way and use the result; return the version and the folder of the package."""
    checkout = folder / "checkout"
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    outside = folder / "outside"
    outside.mkdir()
    environment = folder / "environment"
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "venv", environment, cwd=outside)
    run(python, "-m", "pip", "install", "--quiet", *way.arguments(checkout), cwd=outside)
    modules = modules_of(checkout)
    if not way.needs_checkout:
        shutil.rmtree(checkout)
    script = outside / "use.py"
    script.write_text(USE)
    source = checkout if way.needs_checkout else environment
    return run(python, script, source, *modules, cwd=outside).strip()


def main(arguments: list[str]) -> int:
    if unknown := [way for way in arguments if way not in WAYS]:
        print(f"Unknown: {', '.join(unknown)}. The ways to install are {', '.join(WAYS)}.")
        return 2
    failed = False
    for name in arguments or WAYS:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="packaging-") as folder:
            try:
                word, answer = "works", try_way(WAYS[name], Path(folder))
            except Failure as failure:
                failed = True
                word, answer = "FAILED", str(failure)
            answer = answer.replace(folder + "/", "")
        print(f"{name:9} {word} {time.monotonic() - started:5.1f} s  {answer}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
