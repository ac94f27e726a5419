"""Estimates with a known error, and points of a sweep made from them."""

from collections.abc import Mapping

from prefork.advice.noise import NORMAL, Estimate
from prefork.advice.recommendation import Point


def an_estimate(value: float, error: float = 0.0) -> Estimate:
    """A figure with this standard error."""
    return Estimate(value, error / NORMAL)


def points(rates: Mapping[int, float], error: float = 0.0) -> list[Point]:
    """A point for each number of workers and its rate."""
    return [Point(workers, an_estimate(rate, error)) for workers, rate in rates.items()]
