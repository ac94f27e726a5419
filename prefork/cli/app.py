"""The command line: commands, their help, and how arguments become a call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from prefork import __version__
from prefork.cli import configuration, values
from prefork.cli.bench.options import BenchOptions
from prefork.cli.options import PoolOptions, ServeOptions
from prefork.cli.outcomes import Refusal, did_you_mean
from prefork.cli.streams import outlive_readers
from prefork.cli.tune.options import TuneOptions
from prefork.settings import Range, Rule

Call = Callable[[], int]

app = App(
    name="prefork",
    version=__version__,
    help="A pool of worker processes under the documented socketserver API.",
    help_format="markdown",
    version_flags=["--version"],
)

SERVE_EPILOGUE = """\
**Examples**

    prefork serve app:Handler
    prefork serve app:Handler --bind tcp://[::]:9999 --bind unix:///run/app.sock
    prefork serve app:Handler --bind tcp://[::]:9999 --bind unix:///run/app.sock --one-pool
    prefork serve app:Handler --max-children 8 --max-requests 10000
    prefork serve http.server:HTTPServer --handler http.server:SimpleHTTPRequestHandler

**Environment and file**

Each option can also be set in the environment and in `prefork.toml`. Flags take precedence over the
environment, and the environment over the file; what none of them sets is left to the server class.

    PREFORK_MAX_CHILDREN=8 PREFORK_GC_FREEZE=no prefork serve app:Handler

The file:

    target = "app:Handler"
    bind = ["tcp://127.0.0.1:9999", "unix:///run/app.sock"]
    max-children = 8
    gc-freeze = false

**Signals**

- SIGTERM, SIGINT (Ctrl-C): drain. The workers finish their requests and serve those in the backlog.
- a second signal: kill the workers and exit at once.

**Exit codes**

- 0: stopped after draining.
- 1: forced shutdown (a second signal, or the graceful timeout), or an error in the server class.
- 2: an invalid argument, or one that names something unavailable; nothing was served.
- 3: no worker could start; the log contains the traceback of one of them.
"""

RUN_EPILOGUE = """\
**Examples**

    prefork run server.py --port 8000
    prefork run -m http.server 8000
    prefork run --pool --max-children 4 -m http.server 8000
    prefork run --pool --threads 16 server.py

The flags of `prefork run` come before the program; everything after it belongs to the program. The
environment and `prefork.toml` are not read. The exit code is that of the program, or 2 if there is
no such program.
"""

DEMO_EPILOGUE = """\
**Examples**

    prefork demo
    prefork demo --seconds 30 --cores 4

The demo runs `prefork bench` with a built-in handler, strategy `accept` and 1, 2, ... workers.
"""

BENCH_EPILOGUE = r"""
**Examples**

    prefork bench app:Handler --request 'GET / HTTP/1.0\r\n\r\n'
    prefork bench app:Handler --request request.bin --output results
    prefork bench app:Handler --request 'x\n' --strategies accept,fork --max-children 2,4
    prefork bench app:Lookup --bind udp --request 'name'
    prefork bench app:Handler --client clients:log_in_and_ask

**What is measured**

Each client sends its next request as soon as the last one is answered, on a new connection. The
servers are measured in alternating rounds. Requests per second is the median of the trials, and
half of the trials are within ± of it. CPU is the CPU time of all processes of the server per
request. If MODULE:HANDLER is a request handler, the standard library's forking and threading
servers are measured for comparison.

The PNG needs matplotlib: `pip install 'prefork[plots]'`.

**Exit codes**

- 0: every request was served.
- 1: requests failed; if the first one failed, nothing was measured.
- 2: an invalid argument, or one that names something unavailable; nothing was measured.
"""

TUNE_EPILOGUE = r"""
**Examples**

    prefork tune app:Handler --request 'GET / HTTP/1.0\r\n\r\n'
    prefork tune app:Handler --request request.bin --output results
    prefork tune app:Handler --request 'x\n' --target p99=50ms --rate 200
    prefork tune app:Handler --request 'x\n' --cores 64 --memory 256G --rate 5000

**What is measured**

First, one worker with one client: how long a request takes, how much of that is CPU, and how much
memory a worker uses. Then a pool with more and more workers and two clients per worker, from the
number that should keep the cores busy until the rate stops growing; then the numbers around that
knee, repeatedly. The settings are those of the server class, except that the sizing is `static`.

The curve needs scipy and the PNG needs matplotlib: `pip install 'prefork[tune]'`.

**Exit codes**

- 0: every request was served.
- 1: requests failed; if the first one failed, nothing was measured.
- 2: an invalid argument, or one that names something unavailable; nothing was measured.
"""


@app.command(help_epilogue=SERVE_EPILOGUE, usage="Usage: prefork serve MODULE:HANDLER [OPTIONS]")
def serve(
    target: str,
    options: ServeOptions = ServeOptions(),  # noqa: B008
) -> int:
    """Serve a request handler, or a server class, from a pool of worker processes.

    Parameters
    ----------
    target
        MODULE:HANDLER. A request handler is a subclass of `BaseRequestHandler`, or any callable
        that takes (request, client_address, server). A server class gets a pool; a `PreforkMixIn`
        class is used as it is.
    """
    from prefork.cli.serve.command import serve as begin

    return begin(target, options)


@app.command(
    help_epilogue=RUN_EPILOGUE,
    usage="Usage: prefork run [OPTIONS] SCRIPT.py [ARGUMENTS]\n"
    "       prefork run [OPTIONS] -m MODULE [ARGUMENTS]",
)
def run(
    *program: str,
    pool: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    options: PoolOptions = PoolOptions(),  # noqa: B008
) -> int:
    """Run a program unchanged, with this package in place of the standard library's socketserver.

    Parameters
    ----------
    program
        SCRIPT.py or `-m MODULE`, then the program's own arguments.
    pool
        Turn its forking and threading servers into pools; without --threads a worker serves one
        request at a time. The options below configure these pools.
    """
    from prefork.cli.run.command import run as begin

    return begin(program, pool, options)


@app.command(help_epilogue=DEMO_EPILOGUE)
def demo(
    *,
    seconds: Annotated[
        float | None, values.by(Rule(float, range=Range(0, "seconds", excluded=True)))
    ] = None,
    cores: Annotated[int | None, values.COUNT] = None,
) -> int:
    """Measure a CPU-heavy server (Pygments, source in, HTML out) with 1, 2, ... workers.

    The standard library's ForkingTCPServer and ThreadingTCPServer are measured for comparison.

    Parameters
    ----------
    seconds
        Seconds for all trials together. Default: 20.
    cores
        Maximum number of workers. Default: one per core that this process may use.
    """
    from prefork.cli.demo.command import demo as begin

    return begin(seconds, cores)


@app.command(
    help_epilogue=BENCH_EPILOGUE,
    usage="Usage: prefork bench MODULE:HANDLER --request FILE|TEXT [OPTIONS]",
)
def bench(
    target: str,
    options: BenchOptions = BenchOptions(),  # noqa: B008
) -> int:
    """Compare strategies and numbers of workers with your handler on this machine.

    Parameters
    ----------
    target
        MODULE:HANDLER, a request handler or a server class, as for `prefork serve`.
    """
    from prefork.cli.bench.command import run as begin

    return begin(target, options)


@app.command(
    help_epilogue=TUNE_EPILOGUE,
    usage="Usage: prefork tune MODULE:HANDLER --request FILE|TEXT [OPTIONS]",
)
def tune(
    target: str,
    /,
    options: TuneOptions = TuneOptions(),  # noqa: B008
) -> int:
    """Find out how many workers and how long a backlog your handler needs, and why.

    Parameters
    ----------
    target
        MODULE:HANDLER, a request handler or a server class, as for `prefork serve`.
    """
    from prefork.cli.tune.command import run as begin

    return begin(target, options)


COMMANDS: dict[str, Callable[..., int]] = {
    command.__name__: command for command in (serve, run, demo, bench, tune)
}


def parse(arguments: Sequence[str]) -> Call | None:
    """Return the call that the arguments request; `None` if the help or the version was printed.

    Errors: `Refusal`.
    """
    tokens = list(arguments)
    try:
        if tokens[:1] == ["run"]:
            tokens = ["run", *program_set_apart(tokens[1:])]
        elif tokens[:1] == ["serve"]:
            app["serve"].config = configuration.sources(tokens)
        command, bound, _ = app.parse_args(tokens, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        raise Refusal(f"{explained(error, tokens)} See {_help_for(tokens)}.") from None
    if command not in COMMANDS.values():
        outlive_readers()  # as in `prefork --help | head`
        command(*bound.args, **bound.kwargs)
        return None
    return lambda: int(command(*bound.args, **bound.kwargs))


def explained(error: CycloptsError, tokens: Sequence[str]) -> str:
    """Return what is wrong with the arguments, more clearly than the parser's text if necessary."""
    if isinstance(error, MissingArgumentError):
        assert error.argument is not None
        if error.argument.name in ("--target", "TARGET") and error.keyword is None:
            return "MODULE:HANDLER is missing: add what to serve, such as app:Handler."
        return f"{error.keyword or error.argument.name} needs a value."
    if isinstance(error, UnusedCliTokensError):
        with_target = "target" in inspect.signature(COMMANDS[tokens[0]]).parameters
        what = "MODULE:HANDLER and options" if with_target else "options"
        extra = (error.unused_tokens or [""])[0]
        return f"Unexpected argument {extra!r}: `prefork {tokens[0]}` takes {what}."
    if isinstance(error, UnknownOptionError) and error.token.source == "cli":
        word = (error.token.keyword or error.token.value).partition("=")[0]
        names = [name for each in error.argument_collection if each.parse for name in each.names]
        return f"Unknown option: {word}.{did_you_mean(word, names, shown=str)}"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is given more than once."
    if isinstance(error, CoercionError) and error.token is not None and error.target_type is bool:
        return f"{values.place(error.token)}: it must be {Rule(bool)}."
    return " ".join(str(error).split())


def program_set_apart(tokens: Sequence[str]) -> list[str]:
    """Put `--` before the program, so that nothing after it is parsed as an option of `run`.

    The program begins with the first argument that is neither a flag nor a flag's value, or `-m`.
    """
    options = app["run"].assemble_argument_collection()
    valued = {name for option in options if option.token_count()[0] for name in option.names}
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token == "--":
            return list(tokens)
        if token == "-m" or not token.startswith("-"):
            break
        place += 2 if token in valued else 1
    return [*tokens[:place], "--", *tokens[place:]]


def _help_for(tokens: Sequence[str]) -> str:
    command = [word for word in tokens[:1] if word in COMMANDS]
    return f"`{' '.join(['prefork', *command, '--help'])}`"
