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
    UnusedCliTokensError,
)

from prefork import __version__
from prefork.cli import configuration
from prefork.cli import values as reading
from prefork.cli.bench.options import BenchOptions
from prefork.cli.options import PoolOptions, ServeOptions
from prefork.cli.outcomes import Refusal
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

Each option can also be said in the environment, and in `prefork.toml`. Flags come first, then the
environment, then the file; what none of them says is left to the server class.

    PREFORK_MAX_CHILDREN=8 PREFORK_GC_FREEZE=no prefork serve app:Handler

The file:

    target = "app:Handler"
    bind = ["tcp://127.0.0.1:9999", "unix:///run/app.sock"]
    max-children = 8
    gc-freeze = false

**Signals**

- SIGTERM, SIGINT (Ctrl-C): drain. The workers finish what they hold and serve whoever waits.
- a second one: kill the workers, end at once.

**Exit codes**

- 0: stopped, and drained.
- 1: ended by force (a second signal, or the graceful_timeout was over), or by an error in the
  server class.
- 2: a wrong argument, or what it names cannot be had; nothing was served.
- 3: no worker could start; the log has the traceback of one.
"""

RUN_EPILOGUE = """\
**Examples**

    prefork run server.py --port 8000
    prefork run -m http.server 8000
    prefork run --pool --max-children 4 -m http.server 8000
    prefork run --pool --threads 16 server.py

Flags of `prefork run` stand before the program; everything after it is the program's own. So are
the environment and `prefork.toml`: neither says anything here. The exit code is the program's; 2 if
it cannot be found.
"""

DEMO_EPILOGUE = """\
**Examples**

    prefork demo
    prefork demo --seconds 10 --cores 4
"""

BENCH_EPILOGUE = r"""
**Examples**

    prefork bench app:Handler --request 'GET / HTTP/1.0\r\n\r\n'
    prefork bench app:Handler --request request.bin --output results
    prefork bench app:Handler --request 'x\n' --strategies accept,fork --max-children 2,4
    prefork bench app:Lookup --bind udp --request 'name'
    prefork bench app:Handler --client clients:log_in_and_ask

**What is measured**

Clients that ask again as soon as they have been answered, a connection for each request. Servers
have their turns in alternating rounds. Requests per second are the median of the turns, and half of
these are nearer to it than ±; CPU is that of all the server's processes, for a request. The
standard library's forking and threading servers are there for comparison where MODULE:HANDLER is a
request handler.

PNG needs matplotlib: `pip install 'prefork[plots]'`.

**Exit codes**

- 0: every request was served.
- 1: some were not, or not even the first.
- 2: a wrong argument, or what it names cannot be had; nothing was measured.
"""

TUNE_EPILOGUE = r"""
**Examples**

    prefork tune app:Handler --request 'GET / HTTP/1.0\r\n\r\n'
    prefork tune app:Handler --request request.bin --output results
    prefork tune app:Handler --request 'x\n' --target p99=50ms --rate 200
    prefork tune app:Handler --request 'x\n' --cores 64 --memory 256G --rate 5000

**What is measured**

One worker and one client first: how long a request takes, what of that on a core, and the memory of
a worker. Then a pool with more and more workers, each with two clients, from where its cores should
be full until nothing is gained; then the numbers around that knee again and again. The
strategy and all else are the server class's own; the sizing is `static`.

The curve needs scipy, the PNG matplotlib: `pip install 'prefork[tune]'`.

**Exit codes**

- 0: every request was served.
- 1: some were not, or not even the first.
- 2: a wrong argument, or what it names cannot be had; nothing was measured.
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
        MODULE:HANDLER. A request handler is a subclass of `BaseRequestHandler`, or whatever else
        can be called with (request, client_address, server). Under a server class that is no pool
        yet there will be one; a `PreforkMixIn` class is used as it is.
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
    """Run a program unchanged, with our module in the place of the standard library's socketserver.

    Parameters
    ----------
    program
        SCRIPT.py or `-m MODULE`, then the program's own arguments.
    pool
        Make pools of its forking and threading servers; without --threads a worker serves one
        request at a time. The options below are for these pools.
    """
    from prefork.cli.run.command import run as begin

    return begin(program, pool, options)


@app.command(help_epilogue=DEMO_EPILOGUE)
def demo(
    *,
    seconds: Annotated[
        float | None, reading.by(Rule(float, range=Range(0, "seconds", excluded=True)))
    ] = None,
    cores: Annotated[int | None, reading.COUNT] = None,
) -> int:
    """Show what the cores of this machine are good for.

    A CPU-heavy server (Pygments, source in, HTML out) serves real clients with 1, 2, ... workers,
    and then as ForkingTCPServer and ThreadingTCPServer of the standard library.

    Parameters
    ----------
    seconds
        Seconds for each step. Default: so that the whole takes less than half a minute.
    cores
        Workers to go up to. Default: as many as cores that this process may use.
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
    """Compare the strategies and numbers of workers under your own handler, on this machine.

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
    """Find out how many workers your own handler wants, and how long a backlog, and why.

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
    """The call that the arguments ask for; `None` when it was for help or the version.

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
        raise Refusal(f"{in_words(error, tokens)} See {_help_for(tokens)}.") from None
    if command not in COMMANDS.values():
        outlive_readers()  # of `prefork --help | head`
        command(*bound.args, **bound.kwargs)
        return None
    return lambda: int(command(*bound.args, **bound.kwargs))


def in_words(error: CycloptsError, tokens: Sequence[str]) -> str:
    """What is wrong with the arguments, in our words where the parser's are its own business."""
    if isinstance(error, MissingArgumentError):
        assert error.argument is not None
        if error.argument.name in ("--target", "TARGET") and error.keyword is None:
            return "MODULE:HANDLER is missing: name what to serve, such as app:Handler."
        return f"{error.keyword or error.argument.name} needs a value."
    if isinstance(error, UnusedCliTokensError):
        with_target = "target" in inspect.signature(COMMANDS[tokens[0]]).parameters
        what = "MODULE:HANDLER and options" if with_target else "options"
        extra = (error.unused_tokens or [""])[0]
        return f"{extra!r} is a word too many: `prefork {tokens[0]}` takes {what}."
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is said more than once."
    if isinstance(error, CoercionError) and error.token is not None and error.target_type is bool:
        return f"{reading.place(error.token)}: it must be {Rule(bool)}."
    return " ".join(str(error).split())


def program_set_apart(tokens: Sequence[str]) -> list[str]:
    """`-- ` put before the program, so that nothing after it counts as ours.

    The first word that is neither a flag nor a flag's value is the script; `-m` begins a module.
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
