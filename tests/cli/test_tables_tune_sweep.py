"""Which numbers of workers a sweep measures, and when it stops."""

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from prefork.advice.noise import NORMAL, Estimate
from prefork.advice.recommendation import Point, Profile, Resources, knee, most_throughput
from prefork.advice.usl import Law
from prefork.cli.tune.conclusions import Size, points_of
from prefork.cli.tune.parsing import Numbers
from prefork.cli.tune.search import next_number, next_trial
from prefork.cli.tune.sweep import Sweep
from prefork.loadtest.protocol import Exchange, Measured, Order
from prefork.loadtest.trials import Summary, Trial
from prefork.state.histogram import Histogram

MB = 1 << 20
MIXED = Law(0.020, 0.0055, 2)


@pytest.mark.parametrize(
    ("rates", "start", "most", "wanted"),
    [
        ({1: 100}, 2, 500, 2),  # where the knee should be
        ({1: 100}, 900, 500, 500),
        ({1: 100, 2: 200}, 2, 500, 3),  # it still grew
        ({1: 100, 2: 200}, 2, 2, None),  # but there is no room
        ({1: 100, 2: 200, 3: 202}, 2, 500, None),
        ({1: 100, 100: 4000}, 100, 500, 150),
        ({1: 100, 100: 4000, 150: 4000}, 100, 500, 10),  # between the two that hold the knee
        ({1: 100, 10: 1000, 100: 4000, 150: 4000}, 100, 500, 32),
        ({1: 100, 84: 3800, 100: 4000, 150: 4000}, 100, 500, 122),  # on its other side, too
        ({1: 100, 84: 3800, 100: 4000, 122: 4000, 150: 4000}, 100, 500, 110),
        ({1: 100, 84: 3800, 100: 4000, 110: 4000, 150: 4000}, 100, 500, None),
        ({1: 100, 2: 99, 3: 98}, 2, 500, None),  # one is enough
        ({1: 100, 2: 99}, 2, 500, 3),  # but two points are no curve
        ({1: 0, 2: 0, 3: 0}, 2, 500, None),  # nothing is served at all
    ],
)
def test_the_next_number_to_try(
    rates: dict[int, float], start: int, most: int, wanted: int | None
) -> None:
    assert next_number(rates, start, 1, most) == wanted


@pytest.mark.parametrize(
    ("rates", "least", "wanted"),
    [
        ({10: 190, 15: 190, 23: 191}, 10, 12),  # the smallest that may be tried is enough
        ({2: 190, 3: 190, 5: 191}, 2, None),
        ({3: 190, 5: 190, 8: 191}, 2, 2),
        ({10: 100, 15: 190, 23: 191}, 10, 12),
    ],
)
def test_fewer_than_the_least_are_not_tried(
    rates: dict[int, float], least: int, wanted: int | None
) -> None:
    assert next_number(rates, 2, least, 64) == wanted


def test_trials_alternate_up_and_down_among_those_around_the_knee() -> None:
    rates = {1: [100.0], 2: [200.0], 3: [202.0]}
    present, order = 3, []
    for _ in range(9):
        present = next_trial(rates, present, 2, 1, 500)
        rates[present].append(rates[present][0])
        order.append(present)
    assert order == [3, 2, 1, 1, 2, 3, 3, 2, 1]


LAWS = [
    Law(0.0102, 0.0104, 2),  # computes
    Law(0.0202, 0.00035, 2),  # waits
    Law(0.020, 0.0055, 2),  # both
    Law(0.020, 0.0004, 2, 0.02, 0.0001),  # and one in the way of the other
]


def a_size(workers: int, rates: list[float]) -> Size:
    rate = Estimate.of(rates)
    return Size(workers, Summary(rate, Estimate(0.0), 0.0, 0.0, 1, 0, 0.0), 0.0, None)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.01, 0.03])
@pytest.mark.parametrize("law", LAWS)
def test_a_sweep_finds_the_fewest_that_serve_nearly_as_much_as_any(
    law: Law, noise: float, seed: int
) -> None:
    chance = random.Random(seed)
    profile = Profile(law.service, 0.8 * law.cpu)  # without what the clients take
    rates = {1: [law.rate(1)]}
    present, start = 1, knee(profile, Resources(law.cores))
    for _ in range(36):
        present = next_trial(rates, present, start, 1, 500)
        rates.setdefault(present, []).append(law.rate(present) * chance.gauss(1, noise))
    points = points_of([a_size(number, each) for number, each in rates.items()])
    taken = most_throughput(points, profile, Resources(law.cores)).workers
    best = max(law.rate(number) for number in range(1, 501))
    fewest = next(number for number in range(1, 501) if law.rate(number) > 0.98 * best)
    assert law.rate(taken) > 0.95 * best
    assert taken <= 1.5 * fewest


def test_a_single_trial_is_as_uncertain_as_one_of_the_others() -> None:
    sizes = [a_size(1, [50.0]), a_size(2, [98.0, 100.0, 102.0]), a_size(3, [99.0, 100.0, 101.0])]
    one, two, three = points_of(sizes)
    assert one.rate.error == pytest.approx(NORMAL * 50 * (0.02 + 0.01) / 2)
    assert two.rate.error == pytest.approx(2 * three.rate.error)
    assert points_of(sizes[:1]) == [Point(1, Estimate(50.0))]
    # It may have been luck.
    lucky = points_of([*sizes, a_size(9, [101.0])])
    assert most_throughput(lucky, Profile(0.02, 0.02), Resources(2)).workers == 2


class ScriptedPool:
    """A pool that serves by a law, in no real time: its trials move the clock."""

    threads = 1
    workers = 0
    address = "nowhere"
    title = "workers"

    def __init__(self, law: Law, each: int | None) -> None:
        self.now = 100.0
        self.not_asked = 0
        """Workers that no request can have reached."""
        self._law = law
        self._each = each

    def resize(self, workers: int) -> None:
        self.not_asked = max(0, workers - self.workers)
        self.workers = workers

    def memory(self) -> int | None:
        return self._each

    def run_trial(self, drivers: object, order: Order, progress: object = None) -> Trial:
        seconds = order.warm_up + order.seconds
        if seconds:
            assert not self.not_asked, "a trial with workers that have served nothing yet"
        else:
            self.not_asked -= min(self.not_asked, order.clients)
        self.now += seconds
        rate = self._law.rate(self.workers)
        exchanges = round(rate * seconds)
        took = Histogram.of([order.clients / rate] * exchanges)
        return Trial(Measured(took, rate, exchanges), 0.005 * exchanges)

    def swept(self, monkeypatch: pytest.MonkeyPatch, machine: int, memory: int | None) -> Sweep:
        """After a minute, on a machine with so much memory, or with so much for the pool."""
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("prefork.cli.tune.sweep.time", clock)
        left = lambda: machine - self.workers * (self._each or 0)  # noqa: E731
        monkeypatch.setattr("prefork.cli.tune.sweep.memory_left", left)
        parts: Any = self, None, Exchange(), Numbers(), 2, None, memory, lambda what: None
        sweep = Sweep(*parts)
        baseline = sweep.profile(7.0)
        assert baseline is not None
        assert baseline.profile.service == pytest.approx(self._law.service, rel=0.02)
        sweep.measure(baseline, 160.0)
        assert self.now == pytest.approx(160, abs=1)
        return sweep


def test_disturbed_trials_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = ScriptedPool(MIXED, 8 * MB).swept(monkeypatch, 1 << 30, None)
    before = sweep.size(8)
    assert before.summary.rate.trials == len(sweep.trials[8]) > 1
    sweep.trials[8].append(Trial(Measured(Histogram.of([9.0]), 0.1, 1), 1.0, others=1.0))
    after = sweep.size(8)
    assert after.summary.rate.trials == before.summary.rate.trials
    assert after.summary.rate == before.summary.rate
    assert after.summary.requests == before.summary.requests + 1


class Reluctant(ScriptedPool):
    """Fails while eight workers are asked for the first time."""

    def run_trial(self, drivers: object, order: Order, progress: object = None) -> Trial:
        trial = super().run_trial(drivers, order, progress)
        if order.seconds or self.workers != 8:
            return trial
        return replace(trial, measured=Measured(failures=3))


def test_requests_that_fail_before_workers_are_measured_are_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweep = Reluctant(MIXED, 8 * MB).swept(monkeypatch, 1 << 30, None)
    failed = {number: sweep.size(number).summary.failures for number in sweep.trials}
    assert len(failed) > 3
    assert failed.pop(8) % 3 == 0 < sweep.failed_before[8]
    assert not any(failed.values())


@pytest.mark.parametrize(
    ("each", "machine", "memory", "most"),
    [
        (8 * MB, 1 << 30, None, 18),
        (8 * MB, 1 << 30, 30 * MB, 3),
        (8 * MB, 30 * MB, None, 3),
        (None, 0, None, 18),  # the kernel does not say what a worker takes
    ],
)
def test_a_sweep_tries_no_more_workers_than_fit_into_memory(
    monkeypatch: pytest.MonkeyPatch, each: int | None, machine: int, memory: int | None, most: int
) -> None:
    sweep = ScriptedPool(MIXED, each).swept(monkeypatch, machine, memory)
    assert max(sweep.trials) == most
    sizes = [sweep.size(number) for number in sorted(sweep.trials)]
    points = points_of(sizes)
    resources = Resources(2, sweep.memory_for_workers if each else None)
    choice = most_throughput(points, Profile(0.02, 0.005, memory=each), resources)
    assert choice.workers == (3 if most == 3 else 11)
    assert choice.reasons[-1].startswith("Memory limits the pool to 3 workers") == (most == 3)
