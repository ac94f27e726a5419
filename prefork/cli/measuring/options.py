"""What `prefork bench` and `prefork tune` are both told: what to serve, and what to ask of it.

No annotation here is a text: the parser would look for its names where a subclass is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from prefork.cli import values as reading
from prefork.cli.addresses import Address
from prefork.cli.measuring import parsing as words
from prefork.cli.measuring.jobs import Job
from prefork.cli.options import folder_of
from prefork.cli.outcomes import Refusal
from prefork.loadtest.protocol import Exchange
from prefork.settings import Range, Rule

SECONDS = reading.by(Rule(float, range=Range(0, "seconds", excluded=True)), show_default=False)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """A server, and its clients."""

    request: Annotated[bytes | None, words.option(words.request_of, "FILE|TEXT")] = None
    r"""What each client sends: the content of a file, if there is one of this name, or else the
    text itself, in which `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH` stand for one byte. Then the
    client shows the end of its request, and reads to the end of the stream."""

    client: Annotated[str | None, Parameter(metavar="MODULE:FUNCTION")] = None
    """In place of --request: called with the server's address, in client processes, for each
    request; does a whole exchange, and raises an exception if that failed."""

    keep_open: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    """Do not show the end of the request (by shutting down the writing side of the connection), for
    handlers that take it for the client's end."""

    bind: Annotated[Address, words.option(words.bind_of, "SCHEME")] = words.ANY_PORT
    """The kind of server: `tcp`, `udp`, `unix` or `unixgram`, or `tcp://HOST:0`. Each server has a
    free port on 127.0.0.1 or on HOST, or a path in a temporary folder. Default: `tcp`."""

    output: Annotated[Path | None, Parameter(metavar="FOLDER")] = None
    """Where to write all figures as JSON, and a PNG. Default: nothing is written."""

    handler: Annotated[str | None, Parameter(metavar="MODULE:HANDLER")] = None
    """The request handler for a server class that has to be given one."""

    app_dir: Annotated[Path, Parameter(converter=folder_of, show_default=False)] = Path(".")
    """Where to look for MODULE first. Default: the current folder."""

    def check(self) -> None:
        """Errors: `Refusal` when what was said cannot be meant together."""
        if self.request is None and self.client is None:
            raise Refusal(
                "Say what clients send: --request FILE|TEXT, or --client MODULE:FUNCTION."
            )
        if self.request is not None and self.client is not None:
            raise Refusal("--request and --client cannot be meant together: leave one out.")
        if self.client is not None and self.keep_open:
            raise Refusal("--keep-open is for --request only: a --client ends its requests itself.")
        if self.output is not None and self.output.exists() and not self.output.is_dir():
            raise Refusal(f"--output {str(self.output)!r}: there is something else than a folder.")

    def job(self, target: str) -> Job:
        return Job(target, self.handler, str(self.app_dir), self.bind)

    @property
    def exchange(self) -> Exchange:
        """The first one, of which nothing is known yet: its answer may be empty."""
        return Exchange(
            self.request or b"",
            datagrams=not self.bind.is_stream,
            half_close=not self.keep_open,
            may_be_empty=True,
        )
