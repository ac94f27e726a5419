"""The options that `prefork bench` and `prefork tune` share: what to serve, and what to send.

The annotations here are not strings: the parser would look for their names in a subclass's module.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from prefork.cli import values
from prefork.cli.addresses import Address
from prefork.cli.measuring.jobs import Job
from prefork.cli.measuring.parsing import ANY_PORT, bind_of, option, request_of
from prefork.cli.options import folder_of
from prefork.cli.outcomes import Refusal
from prefork.loadtest.protocol import Exchange
from prefork.settings import Range, Rule

SECONDS = values.by(Rule(float, range=Range(0, "seconds", excluded=True)), show_default=False)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """The options of a server and its clients."""

    request: Annotated[bytes | None, option(request_of, "FILE|TEXT")] = None
    r"""What each client sends: the content of the file with this name, if it exists, otherwise the
    text itself, in which `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH` stand for one byte each. The
    client then shuts down the writing side of the connection and reads to the end of the
    stream."""

    client: Annotated[str | None, Parameter(metavar="MODULE:FUNCTION")] = None
    """Used instead of --request: a function that client processes call with the server's address
    for each request. It performs a whole exchange, and raises an exception if that fails."""

    keep_open: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    """Do not shut down the writing side of the connection after the request, for handlers that
    take this to mean that the client has left."""

    bind: Annotated[Address, option(bind_of, "SCHEME")] = ANY_PORT
    """The kind of server: `tcp`, `udp`, `unix` or `unixgram`, or `tcp://HOST:0`. Each server gets a
    free port on 127.0.0.1 or on HOST, or a path in a temporary folder. Default: `tcp`."""

    output: Annotated[Path | None, Parameter(metavar="FOLDER")] = None
    """Write all figures to this folder, as JSON and as PNG. Default: no files."""

    handler: Annotated[str | None, Parameter(metavar="MODULE:HANDLER")] = None
    """The request handler, for a server class that needs one."""

    app_dir: Annotated[Path, Parameter(converter=folder_of, show_default=False)] = Path(".")
    """Where to look for MODULE first. Default: the current folder."""

    def check(self) -> None:
        """Check the options that depend on each other.

        Errors: `Refusal` if an option is missing, or if two contradict each other.
        """
        if self.request is None and self.client is None:
            raise Refusal(
                "The request is missing: add --request FILE|TEXT or --client MODULE:FUNCTION."
            )
        if self.request is not None and self.client is not None:
            raise Refusal("--request and --client are mutually exclusive: leave one out.")
        if self.client is not None and self.keep_open:
            raise Refusal("--keep-open is for --request only: a --client ends its requests itself.")
        if self.output is not None and self.output.exists() and not self.output.is_dir():
            raise Refusal(f"--output {str(self.output)!r} exists and is not a folder.")

    def job(self, target: str) -> Job:
        return Job(target, self.handler, str(self.app_dir), self.bind)

    @property
    def exchange(self) -> Exchange:
        """The first exchange; whether its answer may be empty is not known yet."""
        return Exchange(
            self.request or b"",
            datagrams=not self.bind.is_stream,
            half_close=not self.keep_open,
            may_be_empty=True,
        )
