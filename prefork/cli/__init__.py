"""The command `prefork`: serve a handler, run a program, measure and tune a pool."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from prefork.cli.outcomes import Exit, Refusal
from prefork.cli.streams import keep_standard_descriptors, outlive_readers

logger = logging.getLogger("prefork")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status (`outcomes.Exit`)."""
    keep_standard_descriptors()
    try:
        return _execute(sys.argv[1:] if arguments is None else arguments)
    except Refusal as refusal:
        outlive_readers()
        print(f"prefork: {refusal}", file=sys.stderr)
        if refusal.__cause__ is not None:
            logger.debug("Cause:", exc_info=refusal.__cause__, extra={"event": "refused"})
        return Exit.REFUSED


def _execute(arguments: Sequence[str]) -> int:
    from prefork.cli.app import parse

    call = parse(arguments)
    # None: the help or the version was printed.
    return Exit.DONE if call is None else call()
