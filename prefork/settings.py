"""What can be set on a pool: one schema for class attribute, flags, environment and TOML."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, get_args

StrategyName = Literal["accept", "fork"]


class SettingsError(ValueError):
    """A setting has a value that cannot be meant; the message says which, and what would do."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a pool beside the documented class attributes.

    Set as `prefork_settings` on a server class or instance; read when they are used. How many
    workers there are at most is the documented `max_children`, how long the backlog is the
    documented `request_queue_size`.
    """

    strategy: StrategyName = "accept"
    """Who takes a request: `accept`, the workers from the shared listener; `fork`, the master,
    which forks a worker for each."""

    max_requests: int = 0
    """Requests after which a worker is replaced by a new one; 0 for no limit."""

    max_requests_jitter: int = 0
    """Up to so many more, different for each worker, so that not all are replaced at once."""

    threads: int = 64
    """Requests that one worker of a server with `ThreadingMixIn` has in hand at a time; at the
    bound it leaves the next one to the others. 0 for no limit."""

    grace: float | None = None
    """Seconds that workers have to finish when the server ends; then they are killed. `None`: as
    long as it takes, as documented for `block_on_close`."""

    start_timeout: float = 60.0
    """Seconds within which a new worker must be ready; then it is killed and counts as failed."""

    freeze: bool = True
    """Keep the garbage collector away from what workers share with the master: a collection
    would copy it page by page."""

    titles: bool = True
    """Whether workers show in `ps` what they are doing."""

    name: str = ""
    """The application's name, shown in process titles."""

    def __post_init__(self) -> None:
        if self.strategy not in get_args(StrategyName):
            known = ", ".join(get_args(StrategyName))
            raise SettingsError(f"strategy is {self.strategy!r}; it must be one of: {known}.")
        for field in ("max_requests", "max_requests_jitter", "threads"):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise SettingsError(f"{field} is {value!r}; it must be a whole number from 0 up.")
        if self.grace is not None and not self.grace >= 0:
            raise SettingsError(f"grace is {self.grace!r}; it must be seconds from 0 up, or None.")
        if not self.start_timeout > 0:
            raise SettingsError(
                f"start_timeout is {self.start_timeout!r}; it must be more than 0 seconds."
            )

    def drawn_max_requests(self) -> int:
        """The limit for one worker, its share of jitter drawn."""
        if not self.max_requests:
            return 0
        return self.max_requests + random.randint(0, self.max_requests_jitter)
