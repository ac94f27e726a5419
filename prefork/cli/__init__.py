"""The command `prefork`: serve a handler, run a program, show what the cores are good for."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from prefork.cli.outcomes import Exit, Refusal
from prefork.cli.streams import keep_standard_descriptors, outlive_readers

logger = logging.getLogger("prefork")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit status is returned (`outcomes.Exit`)."""
    keep_standard_descriptors()
    try:
        return _obey(sys.argv[1:] if arguments is None else arguments)
    except Refusal as refusal:
        outlive_readers()
        print(f"prefork: {refusal}", file=sys.stderr)
        if refusal.__cause__ is not None:
            logger.debug("In full:", exc_info=refusal.__cause__)
        return Exit.REFUSED


def _obey(arguments: Sequence[str]) -> int:
    from prefork.cli.app import parse

    call = parse(arguments)
    # None: help or the version was asked for, and has been given.
    return Exit.DONE if call is None else call()
