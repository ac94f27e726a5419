"""`prefork tune` without a process: conclusions, report and files."""

import dataclasses
import functools
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from prefork.advice import forecast
from prefork.advice.forecast import Sample
from prefork.advice.noise import Estimate
from prefork.advice.recommendation import Profile, Resources
from prefork.advice.usl import Law
from prefork.cli.measuring import plot_style
from prefork.cli.outcomes import Exit
from prefork.cli.tune import command, plots, record, report
from prefork.cli.tune.conclusions import Baseline, Requirements, Size, conclude
from prefork.cli.tune.options import TuneOptions
from prefork.cli.tune.record import TuneRecord
from prefork.loadtest.machine import Machine
from prefork.loadtest.protocol import Measured
from prefork.loadtest.trials import Summary, Trial
from prefork.state.histogram import Histogram
from tests.support.children import child_running
from tests.support.deadlines import HANG

MB = 1 << 20


@pytest.fixture(autouse=True)
def short_simulations(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests read the report about simulated figures, not how exact they are."""
    monkeypatch.setattr(forecast, "REQUESTS", 4000)


MIXED = Law(0.020, 0.0055, 2)
TOOK = [0.020 + 0.0004 * n for n in range(-10, 11)]


@functools.cache
def a_record(
    numbers: tuple[int, ...] = (1, 4, 8, 12, 18),
    *,
    p99: float | None = None,
    rate: float | None = None,
    cores: int = 2,
    memory: int | None = None,
    failures: int = 0,
    threads: int = 1,
    clients: float = 0.3,
    cpu: float = 0.005,
    datagrams: bool = False,
    law: Law = MIXED,
) -> TuneRecord:
    sizes = [
        Size(
            number,
            Summary(
                Estimate(law.rate(number), 0.01 * law.rate(number), 5),
                Estimate(1000 * cpu),
                2000 * number / law.rate(number),
                3000 * number / law.rate(number),
                1000,
                failures,
                0.4,
            ),
            clients,
            8 * MB,
        )
        for number in numbers
    ]
    profile = Profile(0.020, 0.005, 0.12, 9 * MB, datagrams=datagrams)
    baseline = Baseline(profile, Sample.of(Histogram.of(TOOK), 0.020, 0.005, 0.0002))
    here, there = Resources(2, memory, 4096), Resources(cores, memory, 4096)
    requirements = Requirements(p99, rate, there, cores != 2)
    found = None if failures else conclude(sizes, baseline, here, requirements, threads)
    trial = Trial(Measured(Histogram.of([0.02]), 50.0, 1), 0.005)
    return TuneRecord(
        target="app:Handler",
        extra=("--app-dir src",),
        scheme="tcp",
        client=None,
        request=b"\xff",
        seconds=60.0,
        machine=Machine(2, "Processor", "Linux 6.1", "CPython 3.11.7"),
        others_percent=5.0,
        requirements=requirements,
        sizes=sizes,
        trials=[[trial, trial] for _ in sizes],
        found=found,
        complaint="ValueError: [bold]" if failures else "",
    )


def said_of(record: TuneRecord, width: int = 200) -> str:
    said = io.StringIO()
    report.show(Console(file=said, width=width), record)
    return said.getvalue()


def test_the_knee_is_taken_for_the_most_throughput_and_the_line_can_be_copied() -> None:
    said = said_of(a_record())
    assert "A request takes 20.0 ms, 5.00 ms of it CPU (75 % waiting)" in said
    assert "12 workers served 361 requests/s; 18 served 1 % more." in said
    assert "Universal Scalability Law: sigma" in said
    assert "█" in said
    line = "prefork serve app:Handler --app-dir src --max-children 12 --backlog 512"
    assert said.splitlines()[-1] == line


def test_datagrams_get_no_backlog_option() -> None:
    assert a_record(datagrams=True).command.endswith(" --max-children 12")


def test_a_request_that_costs_more_under_load_takes_so_much_longer() -> None:
    said = said_of(a_record(cpu=0.0208))
    assert "A request takes 35.8 ms, 20.8 ms of it CPU (42 % waiting)" in said


def test_a_target_is_met_by_fewer_workers_at_a_lower_rate() -> None:
    shown = a_record(p99=0.045, rate=100)
    assert shown.found is not None
    taken = shown.found.advice.max_children
    assert 3 <= taken < 12
    predictions = shown.found.predictions
    assert predictions[taken].p99 <= 0.045
    assert all(said.p99 > 0.045 for number, said in predictions.items() if number < taken)
    assert "(target: 45.0 ms)" in said_of(shown)


def test_an_impossible_target_is_reported() -> None:
    shown = a_record(p99=0.015, rate=100)
    assert shown.found is not None
    assert not shown.found.advice.reaches
    assert "is not possible: a request takes 20.0 ms even" in said_of(shown)


def test_a_rate_above_the_measured_ones_is_marked_as_simulated() -> None:
    said = said_of(a_record(rate=375))
    assert "No number of workers served more than 364 requests/s here, next to the clients" in said


def test_the_clients_share_of_the_cores_is_mentioned_if_more_workers_could_use_it() -> None:
    said = " ".join(said_of(a_record((1, 2, 3), clients=0.75)).split())
    assert "The clients used 0.750 of the 2 cores: with clients on other machines" in said
    assert "up to 8 workers can use these cores." in said
    assert "The clients used" not in said_of(a_record((1, 2, 3), clients=0.1))
    assert "The clients used" not in said_of(a_record(clients=0.75))


def test_a_knee_that_leaves_the_cores_idle_is_laid_to_what_handlers_wait_for() -> None:
    locked = Law(0.020, 0.005, 2, sigma=1.0)
    said = said_of(a_record(law=locked, clients=0.1))
    assert "The cores were only 18 % busy: the limit is what handlers wait for" in said
    assert "The cores were" not in said_of(a_record())
    assert "The cores were" not in said_of(a_record((1,), law=locked))


def test_memory_for_three_workers_stops_the_advice_at_three() -> None:
    shown = a_record((1, 2, 3), memory=30 * MB)
    assert shown.found is not None
    assert shown.found.advice.max_children == 3
    said = said_of(shown)
    assert "Memory limits the pool to 3 workers (8.00 MB each, 30.0 MB available)" in said
    assert "If the handler is thread-safe, --threads 3 would serve" in said


def test_memory_that_was_there_and_is_not_any_more_is_no_reason_to_fail() -> None:
    for numbers in ((1, 4, 8, 12), (4, 8)):
        shown = a_record(numbers, memory=30 * MB)
        assert shown.found is not None
        assert shown.found.advice.max_children == 3
        assert "Memory limits the pool to 3 workers" in said_of(shown)


def test_another_machine_is_answered_by_simulation() -> None:
    shown = a_record(cores=64, memory=4 << 30, rate=5000)
    assert shown.found is not None
    assert 105 <= shown.found.advice.max_children <= 115
    said = said_of(shown)
    assert "Simulated for 64 cores, each as fast as one here" in said
    assert "4.00 GB has room for 512 workers of 8.00 MB." in said
    assert "raise net.core.somaxconn" in " ".join(said.split())
    without_a_rate = a_record(cores=64, memory=4 << 30)
    assert without_a_rate.found is not None
    assert without_a_rate.found.advice.max_children == 244


def test_the_queue_of_a_pool_that_cannot_keep_up_grows_without_limit() -> None:
    said = said_of(a_record(cores=64, memory=30 * MB, rate=5000))
    assert "At 5,000 requests/s the queue of 3 workers would grow without limit: they serve" in said
    assert "answered within" not in said
    assert said.count("30.0 MB") == 1  # that they stop at memory says that they fit
    assert "The clients used" not in said  # of the cores of this machine


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "find an idle worker"),
        (0.0205, "wait at most 20.5 ms for a worker"),
        (float("inf"), "wait without limit for a worker"),
    ],
)
def test_what_theory_says_of_the_wait(seconds: float, said: str) -> None:
    assert record.waits(seconds) == said


def test_a_negligible_coefficient_is_shown_as_zero() -> None:
    assert "sigma 0 (contention), kappa 0 (coherence)" in said_of(a_record(p99=0.05, rate=200))


def test_a_single_trial_shows_no_margin() -> None:
    once = a_record()
    sizes = []
    for size in once.sizes:
        rate = dataclasses.replace(size.summary.rate, trials=1)
        sizes.append(dataclasses.replace(size, summary=size.summary._replace(rate=rate)))
    assert re.search(r" 12 +361 +- +5.00 ", said_of(dataclasses.replace(once, sizes=sizes)))
    assert re.search(r" 12 +361 +3.61 +5.00 ", said_of(a_record()))


def test_a_narrow_terminal_does_without_some_figures_and_shows_the_others_whole() -> None:
    for width, spared in ((65, ["memory each"]), (38, ["memory each", "p50 ms", "±", "p99 ms"])):
        said = said_of(a_record(), width).split("requests per second")[0]
        assert "…" not in said
        assert not [figure for figure in spared if figure in said]
        assert re.search(r" 12 +361 ", said)
        assert max(map(len, said.splitlines())) <= width


def test_failures_everywhere_leave_nothing_to_recommend() -> None:
    said = said_of(a_record(failures=3))
    assert "Requests failed. The first failure:\nValueError: [bold]" in said
    assert said.endswith("Nothing to recommend: requests failed with every number of workers.\n")


RECORDS: dict[str, dict[str, Any]] = {
    "of a sweep": {},
    "of one size": {"numbers": (1,)},
    "of a target": {"p99": 0.05, "rate": 200},
    "of a small machine": {"numbers": (1, 2, 3), "memory": 30 * MB},
    "of a machine with less than before": {"numbers": (1, 4, 8), "memory": 30 * MB},
    "of a large machine": {"cores": 64, "memory": 4 << 30, "rate": 5000, "p99": 0.1},
    "of failures": {"failures": 1},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each of the records, written by a process: matplotlib keeps its fonts open."""
    root = tmp_path_factory.mktemp("records")

    def write() -> None:
        plot_style.SIZE = (8, 8)
        for name, words in RECORDS.items():
            (root / name).mkdir()
            command.write(a_record(**words), root / name)

    with child_running(write) as writer:
        assert writer.exit_code(HANG) == 0
    return root


@pytest.mark.parametrize("name", RECORDS)
def test_there_is_a_picture_and_a_file(written: Path, name: str) -> None:
    shown, folder = a_record(**RECORDS[name]), written / name
    assert (folder / "prefork-tune.png").read_bytes().startswith(b"\x89PNG")
    said = json.loads((folder / "prefork-tune.json").read_text())
    assert len(said["sizes"]) == len(shown.sizes)
    assert said["request"] == "\xff"
    if shown.found is not None:
        assert said["advice"]["max_children"] == shown.found.advice.max_children
        assert said["command"].startswith("prefork serve app:Handler")


def test_an_interrupt_while_files_are_written_is_one_like_any_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "outlive_readers", lambda: None)
    monkeypatch.setattr(command, "measure_all", lambda *_: a_record())
    monkeypatch.setattr(command, "write", interrupted)
    options = TuneOptions(request=b"x", output=tmp_path)
    assert command.run("app:Handler", options) == Exit.INTERRUPTED
    assert "Interrupted; every process of `prefork tune` has ended." in capsys.readouterr().out


def test_the_picture_marks_the_knee() -> None:
    from matplotlib.figure import Figure as Picture

    shown = a_record()
    assert shown.found is not None
    axes = Picture().subplots()
    plots.draw_rates(axes, shown.sizes)
    plots.draw_knee(axes, shown.found, shown.sizes)
    (text,) = (text.get_text() for text in axes.texts)
    assert text == "the knee: 12 workers\n361 requests/s; more workers do not serve more"
