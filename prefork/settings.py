"""What can be set on a pool: one schema for class attribute, flags, environment and TOML.

The type of a field says which values can be meant, the text below it what they do. `Settings`
refuses all others, and the command makes its options of the fields; nothing is said twice.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints


class SettingsError(ValueError):
    """A setting has a value that cannot be meant; the message says which, and what would do."""


@dataclass(frozen=True)
class Range:
    """Which numbers can be meant; stands in the `Annotated` type of a field."""

    least: float
    unit: str = ""
    excluded: bool = False
    """Whether `least` itself is out of the range."""

    def __contains__(self, number: float) -> bool:
        enough = number > self.least if self.excluded else number >= self.least
        return enough and math.isfinite(number)

    def __str__(self) -> str:
        return f"above {self.least:g}" if self.excluded else f"from {self.least:g} up"


IdleOrder = Literal["fifo", "lifo"]
"""Which idle worker is next: the one that has waited longest, or the one that has just served."""
SizingName = Literal["static", "spare", "ondemand", "load"]
StrategyName = Literal["accept", "fork", "handoff", "reuseport"]
ForkFrom = Literal["auto", "master", "mold"]
Count = Annotated[int, Range(0)]
SomeCount = Annotated[int, Range(1)]
Seconds = Annotated[float, Range(0, "seconds")]
SomeSeconds = Annotated[float, Range(0, "seconds", excluded=True)]


class Limits(NamedTuple):
    """Between what a policy may choose: `max_children`, and what the settings of these names say.

    `idle_timeout` is in seconds.
    """

    least: int
    most: int
    min_spare: int = 1
    max_spare: int = 4
    idle_timeout: float = 10.0

    def bound(self, workers: int) -> int:
        """The nearest number that is allowed."""
        return max(self.least, min(workers, self.most))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a pool beside the documented class attributes.

    Set as `prefork_settings` on a server class or instance; read when they are used. How many
    workers there are at most is the documented `max_children`, how long the backlog is the
    documented `request_queue_size`.

    Errors: `SettingsError` for a value that its type does not allow, and for values that cannot be
    meant together.
    """

    strategy: StrategyName = "accept"
    """Who takes a request: `accept`, the workers from the shared listener; `fork`, the master,
    which forks a worker for each; `handoff`, the master, which hands it to an idle worker;
    `reuseport`, the workers, each from a listener of its own."""

    idle_order: IdleOrder = "fifo"
    """Which idle worker is next, with `accept` and `handoff`: `fifo`, the one that has waited
    longest; `lifo`, the one that has just served, so that the others have rest."""

    fork_ahead: Count = 0
    """With the strategy `fork`: workers that are forked ahead and wait, each for the one request
    that it will serve; 0 to fork when a request has come."""

    sizing: SizingName = "static"
    """How many workers stand ready: `static`, always as many as there may be; `spare`, so many that
    some are idle, within min-spare and max-spare; `ondemand`, as many as are needed at a time, also
    none; `load`, as many as are busy and some more, if CPU and memory suffice for them."""

    min_children: Count | None = None
    """With any sizing but `static`: workers at least. `None`: 1, and with `ondemand` 0."""

    min_spare: Count = 1
    """With the sizing `spare`: while fewer are idle, workers are added."""

    max_spare: Count = 4
    """With the sizing `spare`: while more are idle, workers leave."""

    idle_timeout: SomeSeconds = 10.0
    """With the sizings `ondemand` and `load`: seconds for which workers are kept that are not
    needed."""

    fork_from: ForkFrom = "auto"
    """Where the memory of workers that stand ready comes from: `master`, from the master; `auto`,
    the same while the master has a single thread, otherwise from a process without threads that is
    forked at the start; `mold`, from a worker that is warm."""

    refork_after: SomeCount = 1000
    """With `mold`: requests after which a worker is warm, so that those of the next generation
    are forked from it."""

    max_unavailable: SomeCount = 1
    """With `mold`: workers that may be out at a time while a generation replaces another."""

    max_requests: Count = 0
    """Requests after which a worker is replaced by a new one; 0 for no limit."""

    max_requests_jitter: Count = 0
    """Up to so many more than `max_requests`, different for each worker, so that not all are
    replaced at once."""

    threads: Count = 64
    """Requests that one worker of a server with `ThreadingMixIn` has in hand at a time; at the
    bound it leaves the next one to the others. 0 for no limit (200 with `handoff`). Any number but
    1, said to the command, adds `ThreadingMixIn` to a server that has none."""

    graceful_timeout: Seconds | None = None
    """Seconds that workers have to finish when the server ends; then they are killed. `None`: as
    long as it takes, as documented for `block_on_close`."""

    start_timeout: SomeSeconds = 60.0
    """Seconds within which a new worker must be ready; then it is killed and counts as failed."""

    gc_freeze: bool = True
    """Keep the garbage collector away from what workers share with the master: a collection
    would copy it page by page."""

    process_titles: bool = True
    """Show in `ps` what each worker is doing, and under the command the master too."""

    name: str = ""
    """The application's name, shown in process titles. `prefork serve` takes the module's."""

    def __post_init__(self) -> None:
        for name, rule in rules().items():
            value = getattr(self, name)
            if not rule.admits(value):
                raise SettingsError(f"{name} is {value!r}; it must be {rule}.")
        if self.sizing == "static":
            return
        if self.strategy == "fork":
            raise SettingsError(
                f"sizing is {self.sizing!r}, but with the strategy fork each request has a worker "
                "of its own; take another strategy, or the sizing static."
            )
        if self.sizing == "spare" and self.min_spare > self.max_spare:
            raise SettingsError(
                f"min_spare is {self.min_spare}, which is more than max_spare, {self.max_spare}."
            )
        if self.sizing != "ondemand" and self.min_children == 0:
            raise SettingsError(
                f"min_children is 0, but with the sizing {self.sizing} one worker at least must "
                "see the clients come; take 1, or the sizing ondemand."
            )

    def check_least(self, max_children: int) -> None:
        """Errors: `SettingsError` when there must be more workers than there may be."""
        least = self.min_children or 0
        if self.sizing != "static" and least > max_children:
            raise SettingsError(
                f"min_children is {least}, which is more than max_children, {max_children}."
            )

    def limits(self, max_children: int) -> Limits:
        """Between what the sizing may choose; `max_children` counts more than the others."""
        least = self.min_children
        if least is None:
            least = 0 if self.sizing == "ondemand" else 1
        spare = self.min_spare, self.max_spare
        return Limits(min(least, max_children), max_children, *spare, self.idle_timeout)

    def drawn_max_requests(self) -> int:
        """The limit for one worker, its share of jitter drawn."""
        if not (self.max_requests and self.max_requests_jitter):
            return self.max_requests
        import random  # only now: it has something to do in every child that is forked

        return self.max_requests + random.randint(0, self.max_requests_jitter)


@dataclass(frozen=True)
class Rule:
    """What a field's type says about its values; as text, what such a value is."""

    kind: type
    """`bool`, `int`, `float` or `str`."""
    choices: tuple[str, ...] = ()
    range: Range | None = None
    optional: bool = False
    """Whether it may be `None`."""

    @classmethod
    def of(cls, hint: Any) -> Rule:
        """The rule in a type: one of the kinds, a `Literal` of texts, a number with its `Range`
        in `Annotated`, any of these with `| None`."""
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
        # To Python True is a number, and to nobody else.
        if not isinstance(value, kinds) or isinstance(value, bool) is not (self.kind is bool):
            return False
        return self.range is None or value in self.range

    def __str__(self) -> str:
        if self.choices:
            what = f"one of: {', '.join(self.choices)}"
        elif self.range:
            what = f"{self.range.unit or _WORDS[self.kind]} {self.range}"
        else:
            what = _WORDS[self.kind]
        return f"{what}, or None" if self.optional else what


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@functools.cache
def rules() -> dict[str, Rule]:
    """The rule of each setting, by its name."""
    hints = get_type_hints(Settings, include_extras=True)
    return {name: Rule.of(hint) for name, hint in hints.items()}
