"""The arithmetic of the bench, and what it recommends."""

import random
from pathlib import Path
from statistics import fmean, stdev

import pytest

from prefork.advice.phrasing import shown
from prefork.cli.bench import plots
from prefork.cli.bench.advice import advice, winner
from prefork.cli.bench.cells import Cell
from prefork.cli.bench.results import Result
from prefork.loadtest.figures import percentiles, steady
from prefork.loadtest.hosted_server import handlers_part
from prefork.loadtest.protocol import Exchange, Measured, Order, Recorder
from prefork.loadtest.trials import Estimate, Trial, undisturbed
from tests.cli.results import TWO_CORES, a_result


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        (
            TWO_CORES,
            "Take accept with 2 workers: 201 requests/s, twice one worker's; more workers than "
            "the 2 cores bring nothing, fork costs 3.10 ms of CPU a request more.",
        ),
        (
            [*TWO_CORES, a_result("ForkingTCPServer", 0, 90), a_result("ThreadingTCPServer", 0, 9)],
            "Take accept with 2 workers: 201 requests/s, twice one worker's; more workers than "
            "the 2 cores bring nothing, fork costs 3.10 ms of CPU a request more, "
            "ForkingTCPServer serves 90.0.",
        ),
        (
            [a_result("accept", 1, 100), a_result("accept", 2, 105)],
            "Take accept with 1 worker: 100 requests/s; more workers bring nothing.",
        ),
        (
            [a_result("accept", 4, 300), a_result("accept", 8, 310)],
            "Take accept with 4 workers: 300 requests/s; more than 4 workers bring nothing.",
        ),
        (
            [a_result("accept", 1, 100), a_result("accept", 8, 790)],
            "Take accept with 8 workers: 790 requests/s, 7.9 times one worker's; still more may "
            "bring more (--max-children 8,16).",
        ),
        (
            [a_result("accept", 2, 100), a_result("reuseport", 2, 150)],
            "Take reuseport with 2 workers: 150 requests/s; 50 % more than accept with 2 workers.",
        ),
        (
            [a_result("accept", 2, 100), a_result("reuseport", 2, 150, p99=40.0)],
            "Take reuseport with 2 workers: 150 requests/s; 50 % more than accept with 2 workers, "
            "but a p99 of 40.0 ms in place of 10.0 ms.",
        ),
        (
            [a_result("accept", 2, 100), a_result("ThreadingTCPServer", 0, 250)],
            "Take accept with 2 workers: 100 requests/s; ThreadingTCPServer serves 2.5 times as "
            "many.",
        ),
        (
            [a_result("accept", 2, 100, 30)],
            "Take accept with 2 workers: 100 requests/s, but its turns differ by ±30 %, so measure "
            "again when all is quiet.",
        ),
        (
            [a_result("accept", 1, 100), a_result("accept", 2, 0, requests=0)],
            "Take accept with 1 worker: 100 requests/s, but the time was over before 1 of the 2 "
            "servers had a turn: compare fewer --strategies, or give it more --seconds.",
        ),
        (
            [a_result("accept", 2, 100, failures=1)],
            "There is nothing to recommend: no pool has served every request.",
        ),
        ([], "There is nothing to recommend: no pool has served every request."),
    ],
)
def test_the_recommendation_says_what_the_figures_say(results: list[Result], sentence: str) -> None:
    assert advice(results, cores=2, others_percent=5.0) == sentence


def test_a_busy_machine_is_said_in_the_recommendation() -> None:
    assert advice([a_result("accept", 2, 100, 30)], cores=2, others_percent=40.0) == (
        "Take accept with 2 workers: 100 requests/s, but something else took 40 % of the machine, "
        "so measure again when all is quiet."
    )


@pytest.mark.parametrize(
    ("results", "taken"),
    [
        ([a_result("accept", 2, 100), a_result("accept-lifo", 2, 108)], "accept with 2 workers"),
        (
            [a_result("accept", 2, 100), a_result("accept-lifo", 2, 120)],
            "accept-lifo with 2 workers",
        ),
        (
            [a_result("accept", 2, 100, 10), a_result("handoff", 2, 120, 12)],
            "accept with 2 workers",
        ),
        ([a_result("fork", 1, 100), a_result("accept", 8, 95)], "accept with 8 workers"),
        ([a_result("accept", 8, 100), a_result("accept", 2, 95)], "accept with 2 workers"),
        ([a_result("accept", 2, 200, failures=3), a_result("fork", 2, 50)], "fork with 2 workers"),
        ([a_result("accept", 2, 0, requests=0), a_result("fork", 2, 50)], "fork with 2 workers"),
        (
            [a_result("accept", 2, 50), a_result("ForkingTCPServer", 0, 500)],
            "accept with 2 workers",
        ),
    ],
)
def test_ties_within_the_noise_go_to_the_simpler(results: list[Result], taken: str) -> None:
    best = winner(results)
    assert best is not None
    assert best.cell.title == taken


def test_a_figure_is_a_median_and_one_spoilt_turn_changes_little() -> None:
    assert Estimate.of([1.0, 5.0]) == Estimate(3.0, 2.0)
    assert Estimate.of([1.0, 50.0, 2.0]) == Estimate(2.0, 1.0)
    assert Estimate.of([10.0, 11.0, 0.0, 12.0, 11.0, 10.0]) == Estimate(10.5, 0.5)
    assert Estimate.of([]) == Estimate(0.0)


@pytest.mark.parametrize("turns", [5, 15, 40])
def test_the_more_turns_the_better_a_median_is_known(turns: int) -> None:
    chance = random.Random(1)
    medians = [Estimate.of([chance.gauss(100, 5) for _ in range(turns)]) for _ in range(400)]
    error = stdev(figure.value for figure in medians)
    assert fmean(figure.error(turns) for figure in medians) == pytest.approx(error, rel=0.2)


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
def test_turns_that_others_disturbed_do_not_count_while_there_are_others(
    others: list[float], kept: list[float]
) -> None:
    turns = [Trial(Measured(), 0.0, others=each) for each in others]
    assert [turn.others for turn in undisturbed(turns)] == kept


def test_a_result_adds_its_turns_up() -> None:
    turns = [
        Trial(Measured([0.001, 0.003], 4.0, 3, busy=0.4), cpu=0.006),
        Trial(Measured([0.002], 2.0, 1, 2, "refused", busy=0.6), cpu=0.004),
    ]
    result = Result.of(Cell("accept", 1), turns)
    assert result.rate == Estimate(3.0, 1.0)
    assert result.cpu.value == pytest.approx(3.0)
    assert result.p50 == pytest.approx(2.0)
    assert (result.requests, result.failures, result.clients_busy) == (4, 2, 0.6)


def test_a_result_without_an_answer_has_figures_too() -> None:
    result = Result.of(Cell("accept", 1), [Trial(Measured(failures=5), 0.0)])
    assert (result.rate.value, result.cpu.value, result.p99, result.failures) == (0, 0, 0, 5)


@pytest.mark.parametrize(
    ("took", "expected"),
    [([], (0, 0)), ([0.004], (4, 4)), ([n / 1000 for n in range(1, 102)], (51, 100))],
)
def test_percentiles_are_in_milliseconds(took: list[float], expected: tuple[float, float]) -> None:
    assert percentiles(took) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("spans", "rate", "took"),
    [
        # Two clients and one worker, which serves each second one: the queue stands from 2 on.
        ([(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)], 1.0, [2, 2, 2, 2]),
        # The same with a worker each.
        ([(0, 2), (0, 2), (2, 4), (2, 4), (4, 6), (4, 6)], 1.0, [2, 2, 2, 2]),
        # Not all clients have been answered once before the end: from first to last.
        ([(0, 4), (0, 8)], 0.25, [4, 8]),
        ([], 0.0, []),
    ],
)
def test_exchanges_are_counted_while_the_queue_stands(
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


def test_a_tally_says_what_it_was_told() -> None:
    recorder = Recorder(clients=1, start=10.0, end=20.0)
    recorder.served(9.0, 10.0, 7)
    recorder.served(10.0, 15.0, 7)
    recorder.failed("refused")
    measured = recorder.measured(now=15.0, busy=0.5)
    assert measured == Measured([5.0], 0.2, 2, 1, "refused", 14, 0.5)


def test_after_many_failures_there_is_no_point_in_more() -> None:
    recorder = Recorder(1, 0.0, 1.0)
    for number in range(Recorder.MOST_FAILURES):
        assert not recorder.hopeless
        recorder.failed(f"reason {number}")
    assert recorder.hopeless
    assert recorder.measured(1.0, 0.0).reason == "reason 0"


def test_orders_and_answers_survive_their_way() -> None:
    exchange = Exchange(bytes(range(256)), datagrams=True, ends_with=b"\xff")
    for address in (("127.0.0.1", 80), "/a/path"):
        order = Order(address, 3, 0.5, 1.5, exchange)
        assert Order.of(order.line()) == order
    measured = Measured([0.5], 0.5, 1, 2, "a\nreason", 3, 0.5)
    assert Measured.of(measured.line()) == measured


@pytest.mark.parametrize(
    ("clients", "processes", "shares"), [(8, 3, [3, 3, 2]), (2, 4, [1, 1]), (1, 1, [1])]
)
def test_an_order_is_shared_by_the_processes(
    clients: int, processes: int, shares: list[int]
) -> None:
    orders = Order("/a/path", clients).shared_by(processes)
    assert [order.clients for order in orders] == shares


def test_what_processes_measure_at_the_same_time_is_added_up() -> None:
    total = Measured([1.0], 1, 2, 0, "", 3, 0.5) + Measured([2.0], 1.5, 1, 1, "no", 4, 0.2)
    assert total == Measured([1.0, 2.0], 2.5, 3, 1, "no", 7, 0.5)


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
