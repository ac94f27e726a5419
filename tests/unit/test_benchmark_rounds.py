"""Rounds: trials of servers in alternation."""

import pytest

pytest.importorskip("hdrh", reason="the benchmarks' libraries are not installed")

from benchmarks.harness.competitors import ServerFailed
from benchmarks.harness.rounds import Plan, Spread, alternate


def test_a_measurement_without_any_server_says_so() -> None:
    with pytest.raises(ServerFailed, match=r"^None of the servers .* is installed\.$"):
        alternate([], Plan(rounds=1, seconds=1, clients=1))


def test_a_spread_is_the_median_and_the_middle_half() -> None:
    spread = Spread.of([1, 2, 3, 4, 100])
    assert (spread.median, spread.low, spread.high, spread.count) == (3, 2, 4, 5)
    assert spread.relative == pytest.approx(1 / 3)
    assert Spread.of([7]) == Spread(7, 7, 7, 1)
