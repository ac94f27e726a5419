"""Where options come from besides the command line: the environment, then a TOML file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts.config import Env
from cyclopts.config import Toml as AnyToml
from cyclopts.exceptions import CycloptsError

from prefork.cli.outcomes import Refusal

PREFIX = "PREFORK_"


def sources(arguments: Sequence[str]) -> list[Any]:
    """Where to look, in order; the first that says something about an option decides it.

    Errors: `Refusal` when the file that `--config` names is not there.
    """
    environment = Env(PREFIX, command=False)
    named = named_file(arguments)
    if named is None:
        own = Toml("prefork.toml", use_commands_as_keys=False)
        shared = Toml("pyproject.toml", root_keys=("tool", "prefork"), use_commands_as_keys=False)
        return [environment, own, shared]
    if not named.is_file():
        raise Refusal(f"--config {str(named)!r}: there is no such file.")
    root = ("tool", "prefork") if named.name == "pyproject.toml" else ()
    return [environment, Toml(named, root_keys=root, use_commands_as_keys=False)]


def named_file(arguments: Sequence[str]) -> Path | None:
    """The file of `--config`, which is needed before the arguments can be parsed."""
    for place, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--config" and place + 1 < len(arguments):
            return Path(arguments[place + 1])
        if argument.startswith("--config="):
            return Path(argument.partition("=")[2])
    value = os.environ.get(f"{PREFIX}CONFIG")
    return Path(value) if value else None


class Toml(AnyToml):
    """A TOML file whose errors say which file it is."""

    def _load_config(self, path: Path) -> dict[str, Any]:
        try:
            return super()._load_config(path)
        except OSError as error:
            raise CycloptsError(msg=f"{path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise CycloptsError(msg=f"{path} is no TOML: {error}.") from error
