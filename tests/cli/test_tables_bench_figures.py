"""The arithmetic of the bench, what it shows, and what it recommends."""

import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from prefork.cli.bench import plots, record, report
from prefork.cli.bench.advice import advice, shown, winner
from prefork.cli.bench.cells import Cell
from prefork.cli.bench.record import Record
from prefork.cli.bench.results import Figure, Result, Turn
from prefork.cli.bench.stage import handlers_part
from prefork.cli.load.figures import percentiles, steady
from prefork.cli.load.machine import described
from prefork.cli.load.orders import Exchange, Measured, Order, Tally
from prefork.cli.outcomes import Refusal
from tests.support.children import child_running
from tests.support.deadlines import HANG


def a_result(
    name: str,
    workers: int,
    rate: float,
    margin: float = 0.0,
    *,
    cpu: float = 1.0,
    p99: float = 10.0,
    failures: int = 0,
    requests: int = 100,
) -> Result:
    cell = Cell(name, workers)
    return Result(cell, Figure(rate, margin), Figure(cpu), p99 / 2, p99, requests, failures)


TWO_CORES = [
    a_result("accept", 1, 100),
    a_result("accept", 2, 201),
    a_result("accept", 4, 205),
    a_result("fork", 1, 80, cpu=4.0),
    a_result("fork", 2, 150, cpu=4.1),
]


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
        ([a_result("accept", 2, 100), a_result("accept-hot", 2, 108)], "accept with 2 workers"),
        ([a_result("accept", 2, 100), a_result("accept-hot", 2, 120)], "accept-hot with 2 workers"),
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
    assert Figure.of([1.0, 5.0]) == Figure(3.0, 2.0)
    assert Figure.of([1.0, 50.0, 2.0]) == Figure(2.0, 1.0)
    assert Figure.of([10.0, 11.0, 0.0, 12.0, 11.0, 10.0]) == Figure(10.5, 0.5)
    assert Figure.of([]) == Figure(0.0)


def test_a_result_adds_its_turns_up() -> None:
    turns = [
        Turn(Measured([0.001, 0.003], 4.0, 3, busy=0.4), cpu=0.006),
        Turn(Measured([0.002], 2.0, 1, 2, "refused", busy=0.6), cpu=0.004),
    ]
    result = Result.of(Cell("accept", 1), turns)
    assert result.rate == Figure(3.0, 1.0)
    assert result.cpu.value == pytest.approx(3.0)
    assert result.p50 == pytest.approx(2.0)
    assert (result.requests, result.failures, result.clients_busy) == (4, 2, 0.6)


def test_a_result_without_an_answer_has_figures_too() -> None:
    result = Result.of(Cell("accept", 1), [Turn(Measured(failures=5), 0.0)])
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
    tally = Tally(clients=1, start=10.0, end=20.0)
    tally.served(9.0, 10.0, 7)
    tally.served(10.0, 15.0, 7)
    tally.failed("refused")
    measured = tally.measured(now=15.0, busy=0.5)
    assert measured == Measured([5.0], 0.2, 2, 1, "refused", 14, 0.5)


def test_after_many_failures_there_is_no_point_in_more() -> None:
    tally = Tally(1, 0.0, 1.0)
    for number in range(Tally.MOST_FAILURES):
        assert not tally.hopeless
        tally.failed(f"reason {number}")
    assert tally.hopeless
    assert tally.measured(1.0, 0.0).reason == "reason 0"


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
        (12345.6, "12346"),
    ],
)
def test_figures_are_shown_in_three_digits(figure: float, text: str) -> None:
    assert shown(figure) == text


def a_record(**more: Any) -> Record:
    results = [
        *TWO_CORES,
        a_result("handoff", 1, 0, requests=0),
        a_result("ForkingTCPServer", 0, 9),
    ]
    said: dict[str, Any] = {
        "target": "app:Handler",
        "scheme": "tcp",
        "client": None,
        "request": b"\xff",
        "clients": 8,
        "rounds": 4,
        "seconds": 45.0,
        "machine": described(),
        "others_percent": 5.0,
        "results": results,
        "turns": [[Turn(Measured([0.1], 1.0, 1), 0.5)] for _ in results],
        "complaints": [],
        "advice": "Take accept with 2 workers.",
    }
    return Record(**said | more)


def said_of(record: Record, width: int = 80) -> str:
    said = io.StringIO()
    report.show(Console(file=said, width=width), record)
    return said.getvalue()


def test_the_report_has_a_line_for_each_cell_and_fits_in_a_terminal() -> None:
    said = said_of(a_record())
    assert "accept                 1   100 0   1.00   5.00   10.0      0" in said
    assert "ForkingTCPServer          9.00 0   1.00" in said
    assert "█" in said
    assert "The time was over before 1 of the 7 servers had a turn;" in said
    assert said.endswith("Take accept with 2 workers.\n")
    assert max(map(len, said.splitlines())) <= 80


def test_the_report_says_what_stands_against_the_figures() -> None:
    busy = Result(Cell("accept", 1), Figure(1.0), Figure(1.0), 1.0, 1.0, 1, 0, clients_busy=0.95)
    complaints = [("accept with 1 worker", "ValueError: [bold]"), ("fork with 1 worker", "another")]
    said = said_of(a_record(results=[busy], turns=[[]], complaints=complaints), 200)
    assert "Requests failed: accept with 1 worker, and 1 other. The first of them:" in said
    assert "ValueError: [bold]" in said
    assert "another" not in said
    assert "The clients used up a core of their own at times" in said


def test_a_narrow_terminal_does_without_some_figures_and_shows_the_others_whole() -> None:
    for width, spared in ((60, ["p50 ms"]), (40, ["p50 ms", "±", "p99 ms", "failed"])):
        said = said_of(a_record(), width).split("requests per second")[0]
        assert "…" not in said
        assert not [figure for figure in spared if figure in said]
        assert "accept                 1   100 " in said
        assert max(map(len, said.splitlines())) <= width


@pytest.mark.parametrize(
    ("cpu", "logarithmic"), [(1.0, False), (15.0, False), (25.0, True), (0.0, False)]
)
def test_figures_that_differ_widely_are_drawn_so_that_small_ones_can_be_compared(
    cpu: float, logarithmic: bool
) -> None:
    results = [a_result("accept", 1, 9000), a_result("fork", 1, 90, cpu=cpu)]
    assert [panel.is_logarithmic(results) for panel in plots.PANELS] == [False, logarithmic, False]


@pytest.mark.parametrize(
    "results", [[], TWO_CORES[:1], [*TWO_CORES, a_result("fork-spare", 1, 9, cpu=900.0)]]
)
def test_there_is_a_picture_of_very_little_and_of_much(
    tmp_path: Path, results: list[Result]
) -> None:
    with child_running(lambda: plots.draw(a_record(results=results), tmp_path / "png")) as drawer:
        assert drawer.exit_code(HANG) == 0


def test_files_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    record.make_room(folder)

    def write() -> None:
        assert record.write(a_record(), folder) == (
            f"Written to {folder}/prefork-bench.json and {folder}/prefork-bench.png."
        )

    with child_running(write) as writer:  # matplotlib keeps its fonts open
        assert writer.exit_code(HANG) == 0
    assert (folder / "prefork-bench.png").read_bytes().startswith(b"\x89PNG")
    said = json.loads((folder / "prefork-bench.json").read_text())
    assert said["request"] == "\xff"
    assert said["results"][1]["cell"] == {"strategy": "accept", "workers": 2}
    assert said["results"][1]["turns"][0]["server_cpu_seconds"] == 0.5


def test_without_matplotlib_the_picture_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plots, "can_draw", lambda: False)
    sentence = record.write(a_record(), tmp_path)
    assert sentence.endswith("There is no PNG without matplotlib: pip install 'prefork[plots]'.")
    assert [file.name for file in tmp_path.iterdir()] == ["prefork-bench.json"]


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="cannot be written to"):
        record.make_room(tmp_path / "file" / "below")


def test_bars_stand_in_groups_and_do_not_overlap() -> None:
    results = [
        *(a_result(name, n, 1) for name in ("accept", "fork") for n in (1, 4)),
        a_result("ForkingTCPServer", 0, 1),
        a_result("ThreadingTCPServer", 0, 1),
        a_result("another", 0, 1),
    ]
    bars = plots.bars(results)
    assert plots.groups(results) == ["1 worker", "4 workers", "standard library"]
    assert [round(bar.centre) for bar in bars] == [0, 1, 0, 1, 2, 2, 2]
    in_order = sorted(bars, key=lambda bar: bar.centre)
    for left, right in itertools.pairwise(in_order):
        assert left.centre + left.width / 2 < right.centre - right.width / 2
    assert [bar.named for bar in bars] == [True, False, True, False, True, True, True]
