"""Parses the arguments that only `prefork bench` takes."""

from __future__ import annotations

from prefork.cli.bench.candidates import STRATEGIES
from prefork.cli.measuring.parsing import listed
from prefork.cli.outcomes import did_you_mean


def strategies_of(text: str) -> tuple[str, ...]:
    """Parse names separated by commas; return them in the order of `STRATEGIES`.

    Errors: `ValueError`.
    """
    names = listed(text)
    for name in names:
        if name not in STRATEGIES:
            raise ValueError(
                f"unknown strategy {name!r}; the strategies are {', '.join(STRATEGIES)}."
                + did_you_mean(name, STRATEGIES)
            )
    return tuple(name for name in STRATEGIES if name in names)
