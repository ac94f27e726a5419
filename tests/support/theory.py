"""Exact results of queueing theory, for comparison with a simulation."""

from __future__ import annotations

from math import factorial


def erlang_c(servers: int, load: float) -> float:
    """The probability that a customer waits in M/M/c; `load` is the rate times the mean service."""
    full = load**servers / factorial(servers) * servers / (servers - load)
    return full / (sum(load**n / factorial(n) for n in range(servers)) + full)


def wait_mmc(servers: int, rate: float, service: float) -> float:
    """Mean seconds of waiting in M/M/c."""
    load = rate * service
    return erlang_c(servers, load) * service / (servers - load)


def wait_md1(rate: float, service: float) -> float:
    """Mean seconds of waiting in M/D/1 (Pollaczek and Khinchine)."""
    load = rate * service
    return load * service / (2 * (1 - load))


def wait_mgc(servers: int, rate: float, service: float, variation: float) -> float:
    """Approximate mean seconds of waiting in M/G/c (Allen and Cunneen); `variation` is the variance
    of the service divided by its squared mean."""
    return wait_mmc(servers, rate, service) * (1 + variation) / 2


def throughput_of_repairs(clients: int, think: float, service: float) -> float:
    """Requests per second that one server serves for clients that pause; the services and the
    pauses are exponential (the machine-repair model)."""
    ratio = service / think
    weights = [factorial(clients) / factorial(clients - n) * ratio**n for n in range(clients + 1)]
    return (1 - weights[0] / sum(weights)) / service
