"""The sources of options besides the command line: the environment, then a TOML file.

An unknown name in them is an error: a misspelled setting must not be ignored.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts.config import Dict, Env

from prefork.cli.outcomes import Refusal, did_you_mean

PREFIX = "PREFORK_"
# Variables with this prefix that are not options: those of this project's tests, and those that
# Kubernetes sets in every container for a service called "prefork" or "prefork-something".
OTHERS = re.compile(
    r"PREFORK_(TEST_\w+|(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT_\d+_\w+)|(\w+_)?PORT=\w+://)"
)


def sources(arguments: Sequence[str]) -> list[Any]:
    """Return the sources in order of precedence."""
    environment = Environment(PREFIX, command=False, show=False)
    named = named_file(arguments)
    if named is None:
        shared = File(Path("pyproject.toml"), ("tool", "prefork"))
        return [environment, File(Path("prefork.toml")), shared]
    table = ("tool", "prefork") if named.name == "pyproject.toml" else ()
    return [environment, File(named, table, must_exist=True)]


def named_file(arguments: Sequence[str]) -> Path | None:
    """Return the file that `--config` names, which is needed before arguments can be parsed."""
    for place, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--config" and place + 1 < len(arguments):
            return Path(arguments[place + 1])
        if argument.startswith("--config="):
            return Path(argument.partition("=")[2])
    value = os.environ.get(f"{PREFIX}CONFIG")
    return Path(value) if value else None


def names_of(arguments: Any) -> dict[str, Any]:
    """Return the options by name, without dashes; the `no-` form of a flag is left out."""
    return {
        name[2:]: argument
        for argument in arguments
        for name in argument.names
        if name.startswith("--") and name not in argument.negatives
    }


class Environment(Env):
    """The environment variables `PREFORK_...`."""

    def __call__(self, app: Any, commands: tuple[str, ...], arguments: Any) -> None:
        """Set the options that the variables name.

        Errors: `Refusal` for an unknown variable.
        """
        known = [name.upper().replace("-", "_") for name in names_of(arguments)]
        for variable, value in os.environ.items():
            if not variable.startswith(PREFIX) or OTHERS.match(f"{variable}={value}"):
                continue
            name = variable.removeprefix(PREFIX)
            if name not in known:
                hint = did_you_mean(name, known, shown=PREFIX.__add__)
                raise Refusal(
                    f"{variable} in the environment: `prefork serve` has no such option.{hint}"
                )
        super().__call__(app, commands, arguments)


@dataclass(frozen=True)
class File:
    """A TOML file with the options in one of its tables, or at its top level."""

    path: Path
    table: tuple[str, ...] = ()
    must_exist: bool = False

    def __call__(self, app: Any, commands: tuple[str, ...], arguments: Any) -> None:
        """Set the options that the file names.

        Errors: `Refusal` for an unknown option, or if the file cannot be read.
        """
        known = names_of(arguments)
        del known["config"]  # a file cannot name the file to read
        options: dict[str, Any] = {}
        for key, value in self._read().items():
            name = key.replace("_", "-")
            self._check(key, name, value, known)
            if name in options:
                raise Refusal(f"{name} is given more than once in {self._where}.")
            if value != []:  # an empty list counts as not given
                options[name] = value
        config = Dict(options, source=str(self._where), use_commands_as_keys=False)
        config(app, commands, arguments)

    @property
    def _where(self) -> Path:
        return self.path.absolute()

    def _check(self, key: str, name: str, value: object, known: dict[str, Any]) -> None:
        if isinstance(value, dict):
            place = f"in [{'.'.join(self.table)}]" if self.table else "at the top level"
            raise Refusal(f"Unexpected table {key!r} in {self._where}: options belong {place}.")
        if name not in known:
            hint = did_you_mean(name, known)
            raise Refusal(f"{key!r} in {self._where}: `prefork serve` has no such option.{hint}")
        takes_many = known[name].token_count()[1]
        if isinstance(value, list) and not takes_many:
            raise Refusal(f"{key} = {value} in {self._where}: it must be one value, not a list.")

    def _read(self) -> dict[str, Any]:
        try:
            found: Any = tomllib.loads(self.path.read_text())
        except FileNotFoundError:
            if self.must_exist:
                raise Refusal(
                    f"--config or {PREFIX}CONFIG names {str(self.path)!r}, which does not exist."
                ) from None
            return {}
        except OSError as error:
            raise Refusal(f"{self._where} cannot be read: {error.strerror}.") from None
        except ValueError as error:
            raise Refusal(f"{self._where} is not valid TOML: {error}.") from None
        for key in self.table:
            found = found.get(key, {})
            if not isinstance(found, dict):
                raise Refusal(f"{key!r} in {self._where} must be a table.")
        return dict(found)
