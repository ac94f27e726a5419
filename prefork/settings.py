"""The settings of a pool: one schema for class attribute, flags, environment and TOML.

The type of a field says which values are valid, and the string below it says what they do.
`Settings` rejects all others, and the command makes its options from the fields, so nothing is
described twice.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints


class SettingsError(ValueError):
    """A setting has an invalid value; the message says which one, and what is valid."""


@dataclass(frozen=True)
class Range:
    """The numbers that are valid; used in the `Annotated` type of a field."""

    least: float
    unit: str = ""
    """What the number counts, in the plural; also its placeholder in the help of the command."""
    excluded: bool = False
    """Whether `least` itself is outside the range."""

    def __contains__(self, number: float) -> bool:
        enough = number > self.least if self.excluded else number >= self.least
        return enough and math.isfinite(number)

    def __str__(self) -> str:
        return f"{'>' if self.excluded else '>='} {self.least:g}"


IdleOrder = Literal["fifo", "lifo"]
"""Which idle worker is next: the one that has waited longest, or the one that finished last."""
SizingName = Literal["static", "spare", "ondemand", "load"]
StrategyName = Literal["accept", "fork", "handoff", "reuseport"]
FORKS_PER_REQUEST: frozenset[StrategyName] = frozenset({"fork"})
"""The strategies with which each request has its own worker, so that there is no pool to size."""
NEEDS_IP_PORT: frozenset[StrategyName] = frozenset({"reuseport"})
"""The strategies that need a TCP or UDP port."""
ForkFrom = Literal["auto", "master", "mold"]
Count = Annotated[int, Range(0)]
SomeCount = Annotated[int, Range(1)]
Seconds = Annotated[float, Range(0, "seconds")]
SomeSeconds = Annotated[float, Range(0, "seconds", excluded=True)]


class Limits(NamedTuple):
    """The bounds for a sizing policy: `max_children`, and the settings of these names.

    `idle_timeout` is in seconds.
    """

    least: int
    most: int
    min_spare: int = 1
    max_spare: int = 4
    idle_timeout: float = 10.0

    def bound(self, workers: int) -> int:
        """Return the allowed number that is nearest to `workers`."""
        return max(self.least, min(workers, self.most))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a pool beyond the documented class attributes.

    Set as `prefork_settings` on a server class or instance; read when they are used. The maximum
    number of workers is the documented `max_children`, the length of the backlog the documented
    `request_queue_size`.

    Errors: `SettingsError` for a value that its type does not allow, and for values that contradict
    each other.
    """

    strategy: StrategyName = "accept"
    """Which process takes a request: with `accept`, a worker, from the listener that all workers
    share; with `fork`, the master, which forks a worker for each request; with `handoff`, the
    master, which hands the request to an idle worker; with `reuseport`, a worker, from its own
    listener."""

    idle_order: IdleOrder = "fifo"
    """Which idle worker takes the next request, with `accept` and `handoff`: `fifo`, the one that
    has waited longest; `lifo`, the one that finished last, so that few workers do most of the
    work."""

    fork_ahead: Count = 0
    """The number of workers that strategy `fork` forks in advance, each for one request; 0 to fork
    when a request has arrived."""

    sizing: SizingName = "static"
    """How the number of persistent workers is determined: `static`, always max-children; `spare`,
    so that between min-spare and max-spare workers are idle; `ondemand`, as many as are needed,
    possibly none; `load`, as many as are busy and some more, if CPU and memory suffice."""

    min_children: Count | None = None
    """Minimum number of workers, with any sizing except `static`. `None`: 1, or 0 with
    `ondemand`."""

    min_spare: Count = 1
    """Number of idle workers below which sizing `spare` adds workers."""

    max_spare: Count = 4
    """Number of idle workers above which sizing `spare` retires workers."""

    idle_timeout: SomeSeconds = 10.0
    """Seconds for which sizings `ondemand` and `load` keep workers that are not needed."""

    fork_from: ForkFrom = "auto"
    """The process from which persistent workers are forked: `master`; `auto`, the master while it
    has only one thread, otherwise a fork server, which has no other threads; `mold`, a process that
    was forked from a warm worker."""

    refork_after: SomeCount = 1000
    """The number of requests after which a worker is warm, so that with `mold` the next generation
    can be forked from it."""

    max_unavailable: SomeCount = 1
    """Maximum number of workers that may be missing at once while, with `mold`, one generation
    replaces another."""

    max_requests: Count = 0
    """The number of requests after which a worker is replaced by a new one; 0 for no limit."""

    max_requests_jitter: Count = 0
    """The largest random number that is added to `max_requests` for each worker, so that not all
    of them are replaced at once."""

    threads: Count = 64
    """Maximum number of requests in flight in one worker of a server with `ThreadingMixIn`; a
    worker that has reached it leaves the next request to the others. 0 for no limit (200 with
    `handoff`). With any number except 1, the command adds `ThreadingMixIn` to a server class that
    does not have it."""

    graceful_timeout: Seconds | None = None
    """Seconds that workers are given to finish when the server stops; then they are killed.
    `None`: no limit, as documented for `block_on_close`."""

    start_timeout: SomeSeconds = 60.0
    """Seconds within which a new worker must become ready; otherwise it is killed and its start
    counts as failed."""

    gc_freeze: bool = True
    """Exclude the memory that workers share with the master from garbage collection, which would
    copy it page by page."""

    process_titles: bool = True
    """Show in `ps` what each worker is doing; the command also sets the title of the master."""

    name: str = ""
    """The application's name, shown in process titles. `prefork serve` uses the module's name."""

    def __post_init__(self) -> None:
        for name, rule in rules().items():
            value = getattr(self, name)
            if not rule.admits(value):
                raise SettingsError(f"{name} is {value!r}; it must be {rule}.")
        if self.sizing == "static":
            return
        if self.forks_per_request:
            raise SettingsError(
                f"sizing is {self.sizing!r}, but with strategy {self.strategy!r} each request has "
                "its own worker; use another strategy, or sizing 'static'."
            )
        if self.sizing == "spare" and self.min_spare > self.max_spare:
            raise SettingsError(
                f"min_spare ({self.min_spare}) is greater than max_spare ({self.max_spare})."
            )
        if self.sizing != "ondemand" and self.min_children == 0:
            raise SettingsError(
                f"min_children is 0, but sizing {self.sizing!r} needs at least one worker to "
                "accept clients; use 1, or sizing 'ondemand'."
            )

    @property
    def forks_per_request(self) -> bool:
        """Whether each request has its own worker."""
        return self.strategy in FORKS_PER_REQUEST

    @property
    def needs_ip_port(self) -> bool:
        """Whether the strategy needs a TCP or UDP port."""
        return self.strategy in NEEDS_IP_PORT

    def check_least(self, max_children: int) -> None:
        """Check the minimum against the maximum.

        Errors: `SettingsError` if `min_children` is greater than `max_children`.
        """
        least = self.min_children or 0
        if self.sizing != "static" and least > max_children:
            raise SettingsError(
                f"min_children ({least}) is greater than max_children ({max_children})."
            )

    def limits(self, max_children: int) -> Limits:
        """Return the bounds for the sizing; `max_children` takes precedence over the minimum."""
        least = self.min_children
        if least is None:
            least = 0 if self.sizing == "ondemand" else 1
        spare = self.min_spare, self.max_spare
        return Limits(min(least, max_children), max_children, *spare, self.idle_timeout)

    def drawn_max_requests(self) -> int:
        """Return the limit of one worker: `max_requests` plus a random jitter."""
        if not (self.max_requests and self.max_requests_jitter):
            return self.max_requests
        import random  # loaded late: it registers a function that runs in every forked child

        return self.max_requests + random.randint(0, self.max_requests_jitter)


@dataclass(frozen=True)
class Rule:
    """The valid values of a field, as its type declares them; `str()` describes them."""

    kind: type
    """`bool`, `int`, `float` or `str`."""
    choices: tuple[str, ...] = ()
    range: Range | None = None
    optional: bool = False
    """Whether it may be `None`."""

    @classmethod
    def of(cls, hint: Any) -> Rule:
        """Return the rule for a type: a kind, a `Literal` of strings, a number with its `Range` in
        `Annotated`, or any of these with `| None`."""
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Literal:
            return cls(str, choices=inner)
        if origin in (Union, UnionType):
            (kind,) = (each for each in inner if each is not NoneType)
            return replace(cls.of(kind), optional=True)
        if origin is Annotated:
            rule = cls.of(inner[0])
            limits = next((each for each in inner[1:] if isinstance(each, Range)), rule.range)
            return replace(rule, range=limits)
        return cls(hint)

    def admits(self, value: object) -> bool:
        if value is None:
            return self.optional
        if self.choices:
            return value in self.choices
        kinds: Any = (int, float) if self.kind is float else self.kind
        # `True` is an `int` in Python, and an invalid number here.
        if not isinstance(value, kinds) or isinstance(value, bool) is not (self.kind is bool):
            return False
        return self.range is None or value in self.range

    def __str__(self) -> str:
        if self.choices:
            what = f"one of: {', '.join(self.choices)}"
        elif self.range:
            unit = self.range.unit
            what = f"{f'a number of {unit}' if unit else _WORDS[self.kind]} {self.range}"
        else:
            what = _WORDS[self.kind]
        return f"{what}, or None" if self.optional else what


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


@functools.cache
def rules() -> dict[str, Rule]:
    """Return the rule of each setting, by its name."""
    hints = get_type_hints(Settings, include_extras=True)
    return {name: Rule.of(hint) for name, hint in hints.items()}
