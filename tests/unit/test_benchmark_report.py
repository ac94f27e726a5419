"""The report on the benchmarks: verdicts, tables in Markdown, and the part of README.md."""

from typing import Any

import pytest
from rich.table import Table

from benchmarks.harness.progress import ProgressSpan
from benchmarks.report.finding import Finding, plain
from benchmarks.report.goals import Goal
from benchmarks.report.markdown import (
    BEGIN,
    END,
    ReadmeError,
    between_markers,
    readme_part,
    report,
    table,
)
from benchmarks.report.results import MeasurementResult
from prefork.loadtest.machine import Machine

MACHINE = vars(Machine(2, "Processor", "Linux 6.1", "CPython 3.11.7"))


@pytest.mark.parametrize(
    ("value", "bounds", "verdict"),
    [
        (1.6, {"at_most": 1.6}, "met"),
        (1.61, {"at_most": 1.6}, "missed"),
        (4.0, {"at_least": 4}, "met"),
        (3.9, {"at_least": 4}, "missed"),
        (1.0, {"at_most": 1.6, "valid": False}, "void"),
    ],
)
def test_a_goal_is_met_up_to_its_bound(value: float, bounds: dict[str, Any], verdict: str) -> None:
    assert Goal("{:.1f}", value, **bounds).verdict == verdict


def test_a_goal_shows_the_figure_its_margin_and_its_bounds() -> None:
    measured = Goal("prefork costs {:.2f} times C", 1.234, 0.0456, at_most=1.6)
    assert str(measured) == "prefork costs 1.23 times C (± 0.046; goal: at most 1.6)"
    exact = Goal("{} messages", 1, at_most=1, at_least=1)
    assert str(exact) == "1 messages (goal: exactly 1)"
    counted = Goal("{} of 200 answered", 200, at_least=200)
    assert str(counted) == "200 of 200 answered (goal: at least 200)"


def test_a_finding_is_stored_without_the_colours_of_the_terminal() -> None:
    shown = Table(caption="[red]two[/red] lines")
    shown.add_column("server")
    shown.add_column("CPU µs", justify="right")
    shown.add_row("[bold]prefork[/bold]", "7")
    outcome = Finding("a question.", {}, shown, [Goal("{}", 1, at_most=1)], ["[red]no[/red]"])
    content = outcome.content("echo")
    assert content["table"] == plain(shown)
    assert content["table"]["rows"] == [("prefork", "7")]
    assert content["table"]["right"] == [False, True]
    assert content["table"]["caption"] == "two lines"
    assert content["remarks"] == ["no"]
    assert content["goals"] == [{"sentence": "1 (goal: at most 1)", "verdict": "met"}]


def test_a_table_in_markdown_aligns_figures_right_and_escapes_bars() -> None:
    assert table(("server", "µs"), (False, True), [("a|b", 7)]) == (
        "| server | µs |\n| --- | ---: |\n| a\\|b | 7 |"
    )


def result(name: str, *servers: str) -> MeasurementResult:
    """A result in which the first server costs 10 µs, the next 20, and so on."""
    return MeasurementResult(
        {
            "measurement": name,
            "date": "2026-11-28",
            "machine": MACHINE,
            "question": "what an echo costs.",
            "table": {"columns": ["server"], "right": [False], "rows": [["it"]], "caption": "so"},
            "goals": [{"sentence": "good enough", "verdict": "met"}],
            "remarks": ["Nothing else ran."],
            "medians": {
                server: {"cost": [1e-5 * number] * 3, "p50": [500] * 3, "p99": [2000] * 3}
                for number, server in enumerate(servers, 1)
            },
            **{f"rounds of {server}": [[]] for server in servers},
        }
    )


def test_the_report_has_the_verdicts_first_and_then_a_section_for_each_measurement() -> None:
    echo, growth = result("echo"), result("growth")
    written = report({"echo": echo, "growth": growth}, ["main.png", "growth.png"])
    lines = [line for line in written.splitlines() if line]
    assert lines.index("| echo | good enough | met |") < lines.index("![main](main.png)")
    assert lines[lines.index("## growth") :] == [
        "## growth",
        "What an echo costs.",
        "2026-11-28, on 2 cores (Processor), Linux 6.1, CPython 3.11.7.",
        "| server |",
        "| --- |",
        "| it |",
        "so",
        "- met: good enough",
        "Nothing else ran.",
        "![growth](growth.png)",
    ]


def test_the_readme_shows_all_servers_sorted_by_cost_with_those_of_prefork_in_bold() -> None:
    echo = result("echo", "C prefork", "prefork", "ForkingTCPServer")
    strategies = result("strategies", "accept, fifo", "fork")
    rows = [
        line.split(" | ")[0]
        for line in readme_part({"echo": echo, "strategies": strategies}).splitlines()
        if line.startswith("| ")
    ]
    assert rows[2:] == [
        "| C prefork",
        "| **prefork, accept, fifo**",
        "| **prefork, fork**",
        "| ForkingTCPServer",
    ]


def test_only_the_text_between_the_markers_is_replaced() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between_markers(text, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END} {BEGIN}"])
def test_a_readme_without_both_markers_is_an_error(text: str) -> None:
    with pytest.raises(ReadmeError, match=r"README.md is unchanged"):
        between_markers(text, "new")


def test_the_bar_fills_part_by_part() -> None:
    whole = ProgressSpan(0.0, 1.0)
    first, second = whole.part(0.25), whole.part(0.75)
    inner = second.part(0.5)
    assert [first.at(1.0), second.at(0.0), inner.at(1.0), second.part(0.5).at(1.0)] == [
        0.25,
        0.25,
        0.625,
        1.0,
    ]
