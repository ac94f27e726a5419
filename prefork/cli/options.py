"""What can be said to `prefork serve`: one schema for flags, environment and TOML."""

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

from prefork.cli import addresses
from prefork.cli import values as reading
from prefork.cli.addresses import Address
from prefork.cli.log import LogLevel
from prefork.cli.outcomes import Refusal
from prefork.settings import Rule, Settings, SettingsError


def options_of(schema: Any) -> Any:
    """A type for what is said about the fields of a dataclass: what is not said is not in it."""
    hints = get_type_hints(schema, include_extras=True)
    texts = attribute_docstrings(schema)
    options = {}
    for each in fields(schema):
        hint = hints[each.name]
        shown = reading.as_written(each.default) or False
        parameter = reading.by(Rule.of(hint), help=texts.get(each.name), show_default=shown)
        options[each.name] = Annotated[hint, parameter]
    make: Any = TypedDict  # to a type checker it is a form, and nothing to call with a variable
    return make("Said", options, total=False)


def attribute_docstrings(owner: type) -> dict[str, str]:
    """The text below each attribute of a class; none where the source is not to be had."""
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
"""What has no effect with the sizing `static`."""

if TYPE_CHECKING:
    Said = dict[str, Any]
else:
    Said = options_of(Settings)


def addresses_of(_: Any, tokens: Sequence[Token]) -> tuple[Address, ...]:
    """Errors: `Refusal`."""
    found = []
    for token in tokens:
        try:
            found.append(addresses.parse(token.value))
        except ValueError as error:
            raise Refusal(f"{reading.place(token)}: {error}") from None
    return tuple(found)


def folder_of(_: Any, tokens: Sequence[Token]) -> Path:
    """Errors: `Refusal`."""
    if not Path(tokens[0].value).is_dir():
        raise Refusal(f"{reading.place(tokens[0])}: there is no such folder.")
    return Path(tokens[0].value)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BindOptions:
    """What stands first in the help."""

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
    Several make a pool for each, of max-children workers each. Default: `tcp://127.0.0.1:9999`."""

    one_pool: Annotated[bool, reading.by(Rule(bool), show_default=False)] = False
    """Serve all addresses from one pool, of max-children workers together."""

    handler: Annotated[str | None, Parameter(metavar="MODULE:HANDLER")] = None
    """The request handler for a server class that has to be given one."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """How a pool is made. What is not said is left to the server class, or is the default."""

    max_children: Annotated[int | None, reading.COUNT] = None
    """Workers at most. Default: one for each core that this process may use (its CPU affinity,
    cut to the cgroup's quota)."""

    said: Annotated[Said, Parameter(name="*")] = field(default_factory=dict)
    """The settings of the pool, by name."""

    @property
    def with_threads(self) -> bool:
        """Whether workers were asked to serve in threads, whatever the server class is."""
        return self.said.get("threads") not in (None, 1)

    def over(self, base: Settings) -> Settings:
        """What was said, put over `base`.

        Errors: `Refusal` when something said has no effect, or cannot be meant together.
        """
        try:
            settings = replace(base, **self.said)
        except SettingsError as error:
            raise Refusal(str(error)) from None
        jitter = self.said.get("max_requests_jitter", 0)
        if jitter and not settings.max_requests and "max_requests" not in self.said:
            raise Refusal(
                f"max-requests-jitter is {jitter}, but there is no max-requests to which it could "
                "be added: no worker would ever be replaced."
            )
        if settings.sizing == "static" and "sizing" not in self.said:
            for name in OF_SIZING & self.said.keys():
                raise Refusal(
                    f"{name.replace('_', '-')} is {self.said[name]}, but the sizing is static: it "
                    "has always max-children workers. Add another sizing, load for example."
                )
        return settings


def check_least(settings: Settings, max_children: int) -> None:
    """Errors: `Refusal` when there must be more workers than there may be."""
    try:
        settings.check_least(max_children)
    except SettingsError as error:
        raise Refusal(str(error)) from None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ServeOptions(PoolOptions, BindOptions):
    """Everything that can be said to `prefork serve`, beside what to serve."""

    backlog: Annotated[int | None, reading.COUNT] = None
    """Connections that may wait for a worker in the kernel. Default: 1024."""

    app_dir: Annotated[Path, Parameter(converter=folder_of, show_default=False)] = Path(".")
    """Where to look for MODULE first. Default: the current folder."""

    log_level: Annotated[LogLevel, reading.by(Rule.of(LogLevel))] = "info"
    """What to log on standard error, from this level up."""

    config: Path | None = None
    """A TOML file with these options. Default: `prefork.toml`, or `[tool.prefork]` of
    `pyproject.toml`, in the current folder."""
