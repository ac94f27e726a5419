"""Stored results: what is written is read back, and the report and the plots are made from it."""

from pathlib import Path

import pytest
from rich.table import Table

pytest.importorskip("hdrh", reason="the benchmarks' libraries are not installed")
pytest.importorskip("matplotlib", reason="the benchmarks' libraries are not installed")

from benchmarks.__main__ import ALL, Measurement, UnknownMeasurement
from benchmarks.harness.paths import RESULTS
from benchmarks.harness.rounds import Spread, Trial
from benchmarks.report import results
from benchmarks.report.finding import Finding
from benchmarks.report.markdown import README, between_markers, readme_part, report
from benchmarks.report.plots import PLOTS
from benchmarks.report.results import store, stored


def one_trial(cpu: float) -> Trial:
    return Trial(
        requests=100, errors=0, resent=0, seconds=1.0, rate=100.0, cpu=cpu, load=0.1, others=0.0,
        p50=10_000.0, p99=50_000.0, p999=60_000.0,
    )  # fmt: skip


def test_a_stored_finding_is_read_back_with_its_medians(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    rounds = {"prefork": [one_trial(cpu) for cpu in (0.1, 0.2, 0.3)]}
    store("echo", Finding("a question.", rounds, Table("server"), []))
    found = stored(["lines", "echo"])
    assert list(found) == ["echo"]
    assert found["echo"].servers == ["prefork"]
    assert found["echo"].spread("prefork", "cost") == Spread(0.002, 0.0015, 0.0025, 3)


def test_every_stored_result_belongs_to_a_measurement() -> None:
    assert {file.stem for file in RESULTS.glob("*.json")} <= ALL.keys()


def test_the_report_and_the_readme_show_the_stored_results() -> None:
    found = stored(ALL)
    assert (RESULTS / "report.md").read_text() == report(found, list(PLOTS))
    readme = README.read_text()
    assert readme == between_markers(readme, readme_part(found))


@pytest.mark.parametrize("name", ALL)
def test_a_measurement_is_a_module_with_its_name(name: str) -> None:
    measurement = Measurement.named(name)
    assert measurement.measure.__module__ == f"benchmarks.measurements.{name}"


def test_a_name_that_is_nearly_right_gets_a_hint() -> None:
    with pytest.raises(UnknownMeasurement, match=r"did you mean 'fork_ahead'\?"):
        Measurement.named("fork-ahead")
