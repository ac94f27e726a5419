"""The options of `prefork serve`: one schema for flags, environment and TOML."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, get_type_hints

from cyclopts import Parameter, Token

from prefork.cli import addresses, values
from prefork.cli.addresses import Address
from prefork.cli.log import LogLevel
from prefork.cli.outcomes import Refusal
from prefork.settings import Rule, Settings, SettingsError


def options_of(schema: Any) -> Any:
    """Return a type with an option for each field of a dataclass; options not given are absent."""
    hints = get_type_hints(schema, include_extras=True)
    texts = attribute_docstrings(schema)
    options = {}
    for each in fields(schema):
        hint = hints[each.name]
        shown = values.as_written(each.default) or False
        parameter = values.by(Rule.of(hint), help=texts.get(each.name), show_default=shown)
        options[each.name] = Annotated[hint, parameter]
    make: Any = TypedDict  # type checkers accept literals only
    return make("GivenSettings", options, total=False)


def attribute_docstrings(owner: type) -> dict[str, str]:
    """Return the string below each attribute of a class; none if the source is unavailable."""
    try:
        source = textwrap.dedent(inspect.getsource(owner))
    except OSError:
        return {}
    found = {}
    for attribute, below in pairwise(ast.iter_child_nodes(ast.parse(source).body[0])):
        match attribute, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                found[name] = inspect.cleandoc(text)
    return found


OF_SIZING = {"min_children", "min_spare", "max_spare", "idle_timeout"}
"""Settings that have no effect with sizing `static`."""

if TYPE_CHECKING:
    GivenSettings = dict[str, Any]
else:
    GivenSettings = options_of(Settings)


def addresses_of(_: Any, tokens: Sequence[Token]) -> tuple[Address, ...]:
    """Parse the values of --bind.

    Errors: `Refusal`.
    """
    found = []
    for token in tokens:
        try:
            found.append(addresses.parse(token.value))
        except ValueError as error:
            raise Refusal(f"{values.place(token)}: {error}") from None
    return tuple(found)


def folder_of(_: Any, tokens: Sequence[Token]) -> Path:
    """Parse the path of a folder, which must exist.

    Errors: `Refusal`.
    """
    if not Path(tokens[0].value).is_dir():
        raise Refusal(f"{values.place(tokens[0])}: there is no such folder.")
    return Path(tokens[0].value)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BindOptions:
    """The first options in the help."""

    bind: Annotated[
        tuple[Address, ...],
        Parameter(
            converter=addresses_of,
            n_tokens=1,
            accepts_keys=False,
            metavar="ADDRESS",
            negative=(),
            show_default=False,
        ),
    ] = ()
    """Where to listen: `tcp://HOST:PORT`, `udp://HOST:PORT`, `unix:///PATH`, `unixgram:///PATH`.
    Each of several addresses gets a pool of max-children workers. Default:
    `tcp://127.0.0.1:9999`."""

    one_pool: Annotated[bool, values.by(Rule(bool), show_default=False)] = False
    """Serve all addresses from one pool of max-children workers."""

    handler: Annotated[str | None, Parameter(metavar="MODULE:HANDLER")] = None
    """The request handler, for a server class that needs one."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """The options of a pool. The server class decides what is not given, or else the default."""

    max_children: Annotated[int | None, values.COUNT] = None
    """Maximum number of workers. Default: one per core that this process may use (its CPU affinity,
    limited by the cgroup's quota)."""

    settings: Annotated[GivenSettings, Parameter(name="*")] = field(default_factory=dict)
    """The settings given as options, by name."""

    @property
    def with_threads(self) -> bool:
        """Whether an option asks for threads, whatever the server class is."""
        return self.settings.get("threads") not in (None, 1)

    def over(self, base: Settings) -> Settings:
        """Return `base` with the given settings applied.

        Errors: `Refusal` if a setting is invalid, has no effect, or contradicts another.
        """
        try:
            settings = replace(base, **self.settings)
        except SettingsError as error:
            raise Refusal(str(error)) from None
        jitter = self.settings.get("max_requests_jitter", 0)
        if jitter and not settings.max_requests and "max_requests" not in self.settings:
            raise Refusal(
                f"max-requests-jitter is {jitter}, but max-requests is not set, so no worker would "
                "ever be replaced: set it too."
            )
        if settings.sizing == "static" and "sizing" not in self.settings:
            for name in OF_SIZING & self.settings.keys():
                raise Refusal(
                    f"{name.replace('_', '-')} is {self.settings[name]}, but sizing is static, "
                    "which always keeps max-children workers: set another sizing too, such as load."
                )
        return settings


def check_least(settings: Settings, max_children: int) -> None:
    """Check the bounds of the number of workers.

    Errors: `Refusal` if the minimum is above the maximum.
    """
    try:
        settings.check_least(max_children)
    except SettingsError as error:
        raise Refusal(str(error)) from None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ServeOptions(PoolOptions, BindOptions):
    """All options; what to serve is a separate argument."""

    backlog: Annotated[int | None, values.COUNT] = None
    """Maximum number of connections that wait in the kernel for a worker. Default: 1024."""

    app_dir: Annotated[Path, Parameter(converter=folder_of, show_default=False)] = Path(".")
    """Where to look for MODULE first. Default: the current folder."""

    log_level: Annotated[LogLevel, values.by(Rule.of(LogLevel))] = "info"
    """Log messages of this level and above, on standard error."""

    config: Path | None = None
    """A TOML file with these options. Default: `prefork.toml`, or `[tool.prefork]` of
    `pyproject.toml`, in the current folder."""
