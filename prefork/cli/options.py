"""What can be said to `prefork serve`: one schema for flags, environment and TOML."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from prefork.cli.log import LogLevel
from prefork.settings import Settings, StrategyName

AtLeastOne = Parameter(validator=Number(gte=1))
FromNought = Parameter(validator=Number(gte=0))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BindOptions:
    """What stands first in the help."""

    bind: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = ()
    """Where to listen: `tcp://HOST:PORT`, `udp://HOST:PORT`, `unix:///PATH`, `unixgram:///PATH`.
    Several make a pool for each, of max-children workers each. Default: `tcp://127.0.0.1:9999`."""

    handler: str | None = None
    """MODULE:HANDLER, the request handler for a server class that has to be given one."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """How a pool is made. `None`: not said; then a server class decides, or the default."""

    max_children: Annotated[int | None, AtLeastOne] = None
    """Workers at most. Default: one for each core that this process may use (its CPU affinity,
    cut to the cgroup's quota)."""

    strategy: StrategyName | None = None
    """Who takes a request. `accept` (default): workers that stand ready take it themselves.
    `fork`: the master takes it and forks a worker for it alone."""

    max_requests: Annotated[int | None, FromNought] = None
    """Replace a worker after so many requests; 0 (default) for never."""

    max_requests_jitter: Annotated[int | None, FromNought] = None
    """Up to so many more, different for each worker, so that not all go at once."""

    threads: Annotated[int | None, AtLeastOne] = None
    """Requests that each worker serves at a time, in threads. Default: one, without threads (for a
    server class with ThreadingMixIn: 64)."""

    grace: Annotated[float | None, FromNought] = None
    """Seconds that workers have to finish at the end; then they are killed. Default: as long as it
    takes."""

    start_timeout: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    """Seconds within which a worker must be ready; then it is killed. Default: 60."""

    name: str | None = None
    """The application's name, for process titles. Default: the module."""

    def settings(self, base: Settings) -> Settings:
        """What was said, put over `base`."""
        known = {field.name for field in fields(Settings)}
        said: dict[str, Any] = {
            field.name: value
            for field in fields(PoolOptions)
            if field.name in known and (value := getattr(self, field.name)) is not None
        }
        return Settings(**{**vars(base), **said})


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ServeOptions(PoolOptions, BindOptions):
    """Everything that can be said to `prefork serve`, beside what to serve."""

    backlog: Annotated[int | None, AtLeastOne] = None
    """Connections that may wait for a worker in the kernel. Default: 1024."""

    app_dir: Annotated[Path, Parameter(show_default=False)] = Path(".")
    """Where to look for MODULE first. Default: the current folder."""

    log_level: LogLevel = "info"
    """What to log on standard error, from this level up."""

    config: Path | None = None
    """A TOML file with these options. Default: `prefork.toml`, or `[tool.prefork]` of
    `pyproject.toml`, in the current folder."""
