"""The arithmetic of the bench, and its recommendation."""

from pathlib import Path

import pytest

from prefork.advice.noise import Estimate
from prefork.advice.phrasing import shown
from prefork.cli.bench import plots
from prefork.cli.bench.advice import advice, winner
from prefork.cli.bench.candidates import CandidateResult
from prefork.loadtest.hosted_server import handlers_part
from prefork.loadtest.protocol import Exchange, Measured, Order, Recorder
from prefork.loadtest.steady import steady
from prefork.loadtest.trials import Summary, Trial, undisturbed
from prefork.state.histogram import Histogram
from tests.cli.results import TWO_CORES, a_result


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        (
            TWO_CORES,
            "Use accept with 2 workers: 201 requests/s, twice as many as with one worker; more "
            "workers than the 2 cores do not serve more, fork uses 3.10 ms more CPU per request.",
        ),
        (
            [*TWO_CORES, a_result("ForkingTCPServer", 0, 90), a_result("ThreadingTCPServer", 0, 9)],
            "Use accept with 2 workers: 201 requests/s, twice as many as with one worker; more "
            "workers than the 2 cores do not serve more, fork uses 3.10 ms more CPU per request, "
            "ForkingTCPServer serves 90.0.",
        ),
        (
            [a_result("accept", 1, 100), a_result("accept", 2, 101)],
            "Use accept with 1 worker: 100 requests/s; more workers do not serve more.",
        ),
        (
            [a_result("accept", 4, 300), a_result("accept", 8, 304)],
            "Use accept with 4 workers: 300 requests/s; more than 4 workers do not serve more.",
        ),
        (
            [a_result("accept", 1, 100), a_result("accept", 8, 790)],
            "Use accept with 8 workers: 790 requests/s, 7.9 times as many as with one worker; more "
            "workers may serve more (--max-children 8,16).",
        ),
        (
            [a_result("accept", 2, 100), a_result("reuseport", 2, 150)],
            "Use reuseport with 2 workers: 150 requests/s; 50 % more than accept with 2 workers.",
        ),
        (
            [a_result("accept", 2, 100), a_result("reuseport", 2, 150, p99=40.0)],
            "Use reuseport with 2 workers: 150 requests/s; 50 % more than accept with 2 workers, "
            "but with a p99 of 40.0 ms instead of 10.0 ms.",
        ),
        (
            [a_result("accept", 2, 100), a_result("ThreadingTCPServer", 0, 250)],
            "Use accept with 2 workers: 100 requests/s; ThreadingTCPServer serves 2.5 times as "
            "many.",
        ),
        (
            [a_result("accept", 2, 100, 30)],
            "Use accept with 2 workers: 100 requests/s. Its trials differ by ±30 %: measure again "
            "on a quiet machine.",
        ),
        (
            [a_result("accept", 1, 100), a_result("accept", 2, 0, requests=0)],
            "Use accept with 1 worker: 100 requests/s. 1 of the 2 servers had no trial: compare "
            "fewer --strategies, or give more --seconds.",
        ),
        (
            [a_result("accept", 2, 100, failures=1)],
            "Nothing to recommend: no pool has served every request.",
        ),
        ([], "Nothing to recommend: no pool has served every request."),
    ],
)
def test_the_recommendation_says_what_the_figures_say(
    results: list[CandidateResult], sentence: str
) -> None:
    assert advice(results, cores=2, others_percent=5.0) == sentence


def test_the_recommendation_mentions_other_programs() -> None:
    assert advice([a_result("accept", 2, 100, 30)], cores=2, others_percent=40.0) == (
        "Use accept with 2 workers: 100 requests/s. Other programs used 40 % of the CPU: measure "
        "again on a quiet machine."
    )


@pytest.mark.parametrize(
    ("results", "taken"),
    [
        ([a_result("accept", 2, 100), a_result("accept-lifo", 2, 101)], "accept with 2 workers"),
        (
            [a_result("accept", 2, 100), a_result("accept-lifo", 2, 105)],
            "accept-lifo with 2 workers",
        ),
        (
            [a_result("accept", 2, 100, 10), a_result("handoff", 2, 112, 12)],
            "accept with 2 workers",
        ),
        (
            [a_result("accept", 2, 100, 10), a_result("handoff", 2, 150, 12)],
            "handoff with 2 workers",
        ),
        ([a_result("fork", 1, 100), a_result("accept", 8, 99)], "accept with 8 workers"),
        ([a_result("accept", 8, 100), a_result("accept", 2, 99)], "accept with 2 workers"),
        ([a_result("accept", 2, 200, failures=3), a_result("fork", 2, 50)], "fork with 2 workers"),
        ([a_result("accept", 2, 0, requests=0), a_result("fork", 2, 50)], "fork with 2 workers"),
        (
            [a_result("accept", 2, 50), a_result("ForkingTCPServer", 0, 500)],
            "accept with 2 workers",
        ),
    ],
)
def test_differences_within_the_noise_favour_the_simpler(
    results: list[CandidateResult], taken: str
) -> None:
    best = winner(results)
    assert best is not None
    assert best.candidate.title == taken


@pytest.mark.parametrize(
    ("others", "kept"),
    [
        ([0.0, 0.05, 0.1], [0.0, 0.05, 0.1]),
        ([0.0, 0.5, 0.05], [0.0, 0.05]),
        ([0.5, 0.4, 0.3, 0.0], [0.0, 0.3]),
        ([0.5, 0.4, 0.3], [0.3, 0.4]),
        ([0.5], [0.5]),
        ([], []),
    ],
)
def test_disturbed_trials_do_not_count_if_enough_are_left(
    others: list[float], kept: list[float]
) -> None:
    trials = [Trial(Measured(), 0.0, others=each) for each in others]
    assert [trial.others for trial in undisturbed(trials)] == kept


def measured(took: list[float], *more: float, busy: float = 0.0) -> Measured:
    rate, exchanges, failures = (*more, 0, 0, 0)[:3]
    return Measured(Histogram.of(took), rate, int(exchanges), int(failures), busy=busy)


def test_a_summary_adds_its_trials_up() -> None:
    trials = [
        Trial(measured([0.001, 0.003], 4.0, 3, busy=0.4), cpu=0.006),
        Trial(measured([0.002], 2.0, 1, 2, busy=0.6), cpu=0.004),
    ]
    summary = Summary.of(trials)
    assert summary.rate == Estimate(3.0, 1.0, 2)
    assert summary.cpu.value == pytest.approx(3.0)
    assert summary.p50 == pytest.approx(2.0, rel=0.01)
    assert (summary.requests, summary.failures, summary.clients_busy) == (4, 2, 0.6)


def test_a_summary_without_an_answer_has_figures_too() -> None:
    summary = Summary.of([Trial(Measured(failures=5), 0.0)])
    assert (summary.rate.value, summary.cpu.value, summary.p99, summary.failures) == (0, 0, 0, 5)


@pytest.mark.parametrize(
    ("spans", "rate", "took"),
    [
        # Two clients and one worker, which serves one a second: the queue is steady from 2 on.
        ([(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)], 1.0, [2, 2, 2, 2]),
        # The same with a worker each.
        ([(0, 2), (0, 2), (2, 4), (2, 4), (4, 6), (4, 6)], 1.0, [2, 2, 2, 2]),
        # Not all clients have been answered once before the end: from first to last.
        ([(0, 4), (0, 8)], 0.25, [4, 8]),
        ([], 0.0, []),
    ],
)
def test_exchanges_are_counted_while_the_queue_is_steady(
    spans: list[tuple[float, float]], rate: float, took: list[float]
) -> None:
    found, found_took = steady(spans, clients=2, start=0.5, end=5.0)
    assert found == pytest.approx(rate)
    assert found_took == took


def test_exchanges_before_the_end_of_the_warm_up_do_not_count() -> None:
    spans = [(n / 10, (n + 1) / 10) for n in range(100)]
    rate, took = steady(spans, clients=1, start=9.05, end=20.0)
    assert rate == pytest.approx(9.5 / 10.95)
    assert len(took) == 10


def test_a_recorder_gives_what_it_recorded() -> None:
    recorder = Recorder(clients=1, start=10.0, end=20.0)
    recorder.served(9.0, 10.0, 7)
    recorder.served(10.0, 15.0, 7)
    recorder.failed("refused")
    found = recorder.measured(now=15.0, busy=0.5)
    assert found == Measured(Histogram.of([5.0]), 0.2, 2, 1, "refused", 14, 0.5)


def test_after_many_failures_there_is_no_point_in_more() -> None:
    recorder = Recorder(1, 0.0, 1.0)
    for number in range(Recorder.MOST_FAILURES):
        assert not recorder.is_hopeless
        recorder.failed(f"reason {number}")
    assert recorder.is_hopeless
    assert recorder.measured(1.0, 0.0).reason == "reason 0"


def test_orders_and_answers_survive_their_way() -> None:
    exchange = Exchange(bytes(range(256)), datagrams=True, ends_with=b"\xff")
    for address in (("127.0.0.1", 80), "/a/path"):
        order = Order(address, 3, 0.5, 1.5, exchange)
        assert Order.of(order.line()) == order
    answer = Measured(Histogram.of([0.5, 0.1, 0.1]), 0.5, 1, 2, "a\nreason", 3, 0.5)
    assert Measured.of(answer.line()) == answer


@pytest.mark.parametrize(
    ("clients", "processes", "shares"), [(8, 3, [3, 3, 2]), (2, 4, [1, 1]), (1, 1, [1])]
)
def test_an_order_is_shared_by_the_processes(
    clients: int, processes: int, shares: list[int]
) -> None:
    orders = Order("/a/path", clients).shared_by(processes)
    assert [order.clients for order in orders] == shares


def test_what_processes_measure_at_the_same_time_is_added_up() -> None:
    one = Measured(Histogram.of([1.0]), 1, 2, 0, "", 3, 0.5)
    other = Measured(Histogram.of([2.0]), 1.5, 1, 1, "no", 4, 0.2)
    assert one + other == Measured(Histogram.of([1.0, 2.0]), 2.5, 3, 1, "no", 7, 0.5)


TRACEBACK = f"""\
noise
Traceback (most recent call last):
  File "{Path(plots.__file__).parents[2]}/socketserver/loop.py", line 1, in serve
    process()
  File "/lib/python/socketserver.py", line 755, in __init__
    self.handle()
  File "/home/app.py", line 3, in handle
    raise ValueError()
ValueError
--------
Traceback (most recent call last):
"""


@pytest.mark.parametrize(
    ("log", "part"),
    [
        (
            TRACEBACK,
            'Traceback (most recent call last):\n  File "/home/app.py", line 3, in handle\n'
            "    raise ValueError()\nValueError",
        ),
        ("Worker 0 died.\n", "Worker 0 died."),
        ("1\n2\n3\n4\n5\n6\n7\n", "3\n4\n5\n6\n7"),
        ("", ""),
    ],
)
def test_of_a_log_the_handlers_own_part_is_shown(log: str, part: str) -> None:
    assert handlers_part(log) == part


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (0, "0"),
        (0.01234, "0.012"),
        (1.234, "1.23"),
        (9.996, "10.0"),
        (99.96, "100"),
        (12345.6, "12,346"),
    ],
)
def test_figures_are_shown_in_three_digits(figure: float, text: str) -> None:
    assert shown(figure) == text
