"""What the bench shows and writes: table, picture, files."""

import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from prefork.cli.bench import command, plots, report
from prefork.cli.bench.candidates import CandidateResult
from prefork.cli.bench.options import BenchOptions
from prefork.cli.bench.record import NAME, BenchRecord
from prefork.cli.measuring import output, plot_style
from prefork.cli.outcomes import Refusal
from prefork.loadtest.machine import Machine
from prefork.loadtest.protocol import Measured
from prefork.loadtest.trials import Trial
from prefork.state.histogram import Histogram
from tests.cli.results import TWO_CORES, a_result
from tests.support.children import child_running
from tests.support.deadlines import HANG


def a_record(**more: Any) -> BenchRecord:
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
        "machine": Machine(2, "Processor", "Linux 6.1", "CPython 3.11.7"),
        "others_percent": 5.0,
        "results": results,
        "trials": [[Trial(Measured(Histogram.of([0.1]), 1.0, 1), 0.5)] for _ in results],
        "complaints": [],
        "advice": "Use accept with 2 workers.",
    }
    return BenchRecord(**said | more)


def said_of(record: BenchRecord, width: int = 80) -> str:
    said = io.StringIO()
    report.show(Console(file=said, width=width), record)
    return said.getvalue()


def test_the_report_has_a_line_for_each_candidate_and_fits_in_a_terminal() -> None:
    said = said_of(a_record())
    assert "accept                 1   100 0   1.00   5.00   10.0      0" in said
    assert "ForkingTCPServer          9.00 0   1.00" in said
    assert "█" in said
    assert said.count("handoff") == 1  # in the table: there is no bar for it
    assert said.endswith("Use accept with 2 workers.\n")
    assert max(map(len, said.splitlines())) <= 80


def test_the_report_says_what_casts_doubt_on_the_figures() -> None:
    busy = a_result("accept", 1, 1.0, clients_busy=0.95)
    complaints = [("accept with 1 worker", "ValueError: [bold]"), ("fork with 1 worker", "another")]
    said = said_of(a_record(results=[busy], trials=[[]], complaints=complaints), 200)
    assert "Requests failed: accept with 1 worker, and 1 other. The first failure:" in said
    assert "ValueError: [bold]" in said
    assert "another" not in said
    assert "The clients used a whole core in some trials" in said


def test_a_narrow_terminal_does_without_some_figures_and_shows_the_others_whole() -> None:
    for width, spared in ((60, ["p50 ms"]), (38, ["p50 ms", "±", "p99 ms", "failed"])):
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


VERY_LITTLE_AND_MUCH: tuple[list[CandidateResult], ...] = (
    [],
    TWO_CORES[:1],
    [*TWO_CORES, a_result("fork-ahead", 1, 9, cpu=900.0)],
)


def test_there_is_a_picture_of_very_little_and_of_much(tmp_path: Path) -> None:
    def draw() -> None:
        plot_style.SIZE = (8, 8)
        for number, results in enumerate(VERY_LITTLE_AND_MUCH):
            plots.draw(a_record(results=results), tmp_path / f"{number}.png")

    with child_running(draw) as drawer:  # matplotlib keeps its fonts open
        assert drawer.exit_code(HANG) == 0
    pictures = [(tmp_path / f"{number}.png").read_bytes() for number in range(3)]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert len(set(pictures)) == 3


def test_files_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    output.make_folder(folder, NAME)

    def write() -> None:
        assert command.write(a_record(), folder) == (
            f"Written to {folder}/prefork-bench.json and {folder}/prefork-bench.png."
        )

    with child_running(write) as writer:  # matplotlib keeps its fonts open
        assert writer.exit_code(HANG) == 0
    assert (folder / "prefork-bench.png").read_bytes().startswith(b"\x89PNG")
    said = json.loads((folder / "prefork-bench.json").read_text())
    assert said["request"] == "\xff"
    assert said["results"][1]["candidate"] == {"strategy": "accept", "workers": 2}
    assert said["results"][1]["trials"][0]["server_cpu_seconds"] == 0.5


def test_without_matplotlib_the_picture_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(output, "can_draw", lambda: False)
    sentence = command.write(a_record(), tmp_path)
    assert sentence.endswith("A PNG needs matplotlib: pip install 'prefork[plots]'.")
    assert [file.name for file in tmp_path.iterdir()] == ["prefork-bench.json"]


def test_what_is_written_is_shown_to_the_letter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "can_draw", lambda: False)
    monkeypatch.setattr(command, "measure_all", lambda *_: a_record())
    monkeypatch.setattr(command, "outlive_readers", lambda: None)
    folder = tmp_path / "[bold]"
    assert command.run("app:Handler", BenchOptions(request=b"x", output=folder)) == 0
    assert "[bold]/prefork-bench.json" in (said := capfd.readouterr().out)
    assert said.endswith("A PNG needs matplotlib: pip install 'prefork[plots]'.\n")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="is not writable"):
        output.make_folder(tmp_path / "file" / "below", NAME)


def test_bars_stand_in_groups_and_do_not_overlap() -> None:
    results = [
        *(a_result(name, n, 1) for name in ("accept", "fork") for n in (1, 4)),
        a_result("ForkingTCPServer", 0, 1),
        a_result("ThreadingTCPServer", 0, 1),
        a_result("another", 0, 1),
    ]
    bars = plots.plotted_bars(results)
    assert plots.groups(results) == ["1 worker", "4 workers", "standard library"]
    assert [round(bar.centre) for bar in bars] == [0, 1, 0, 1, 2, 2, 2]
    in_order = sorted(bars, key=lambda bar: bar.centre)
    for left, right in itertools.pairwise(in_order):
        assert left.centre + left.width / 2 < right.centre - right.width / 2
    assert [bar.named for bar in bars] == [True, False, True, False, True, True, True]
