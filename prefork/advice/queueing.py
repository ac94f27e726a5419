"""Queueing theory for a pool: how many requests wait, for how long, and what the cores allow.

There are two models. In the open one, M/G/c, requests arrive at random and wait for one of c
workers. Erlang C is exact for exponential service times; Allen and Cunneen's correction (Allen,
"Probability, Statistics, and Queueing Theory", 1990, 5.6) extends it to others. In the closed one,
the machine repairman (M/M/c//N), N workers that always have a request alternate between waiting and
computing, and queue for the cores.
"""

from __future__ import annotations

import math
from typing import NamedTuple


def erlang_c(load: float, servers: int) -> float:
    """Return the probability that a request has to wait, 1 if the servers cannot keep up.

    `load` is the rate times the service time, in erlangs.
    """
    if load >= servers:
        return 1.0
    if load <= 0:
        return 0.0
    blocked = 1.0  # Erlang B by its recursion, which cannot overflow
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


class Queue(NamedTuple):
    """M/G/c: random arrivals at `rate` per second, served by `servers`.

    A server takes `service` seconds for each on average, with a standard deviation of `spread`
    times that.
    """

    rate: float
    service: float
    servers: int
    spread: float = 1.0

    @property
    def load(self) -> float:
        """The average number of busy servers, in erlangs."""
        return self.rate * self.service

    @property
    def utilisation(self) -> float:
        return self.load / self.servers

    @property
    def waits(self) -> float:
        """The part of the requests that have to wait."""
        return erlang_c(self.load, self.servers)

    def wait(self, share: float) -> float:
        """Return the seconds that this share of the requests waits at most.

        It is infinite if the servers cannot keep up. The tail is assumed to be exponential, as it
        is for M/M/c.
        """
        if self.utilisation >= 1:
            return math.inf
        if (later := 1 - share) >= self.waits:
            return 0.0
        return self._mean_wait_of_delayed * math.log(self.waits / later)

    @property
    def _mean_wait_of_delayed(self) -> float:
        spare = self.servers / self.service - self.rate
        return (1 + self.spread**2) / 2 / spare


def repairman(workers: int, cores: int, cpu: float, wait: float) -> float:
    """Return the requests per second of workers that always have a request.

    A request takes `cpu` seconds on one of the cores and `wait` seconds elsewhere. The rate is
    below the bounds workers / (cpu + wait) and cores / cpu, and approaches them far from the knee.
    """
    if cpu <= 0:
        return workers / wait
    if wait <= 0:
        return min(workers, cores) / cpu
    # The probability that `number` of them need a core, as a logarithm: it would overflow with many
    # workers.
    logarithms = [0.0]
    for number in range(1, workers + 1):
        up, down = (workers - number + 1) / wait, min(number, cores) / cpu
        logarithms.append(logarithms[-1] + math.log(up / down))
    largest = max(logarithms)
    weights = [math.exp(each - largest) for each in logarithms]
    computing = sum(min(number, cores) * weight for number, weight in enumerate(weights))
    return computing / sum(weights) / cpu
