"""`prefork demo`, from the first process to the last line."""

from __future__ import annotations

import time

from rich.console import Console

from prefork.cli.charts import progress_bar
from prefork.cli.demo import report
from prefork.cli.demo.highlight import as_html, sample
from prefork.cli.demo.steps import ROUNDS, Result, contenders, length_of, steps
from prefork.cli.outcomes import Exit
from prefork.loadtest.drivers import drivers
from prefork.loadtest.machine import busy_note
from prefork.loadtest.processes import ChildFailed
from prefork.readings.cores import usable_cores


def demo(seconds: float | None, cores: int | None) -> int:
    """Measure step by step, then show; the exit code is returned."""
    console = Console()
    try:
        results = measure_all(console, seconds, cores or usable_cores())
    except KeyboardInterrupt:
        console.print("Interrupted; every process of the demo has ended.")
        return Exit.INTERRUPTED
    except ChildFailed as failure:
        console.print(str(failure), markup=False)
        return Exit.FORCED
    report.show(console, results)
    return Exit.FORCED if any(result.failures for result in results) else Exit.DONE


def measure_all(console: Console, seconds: float | None, cores: int) -> list[Result]:
    planned = steps(cores)
    each = (seconds or length_of(len(planned))) / ROUNDS
    clients = 2 * cores
    console.print(introduction(cores, clients))
    bar = progress_bar(console)
    with drivers(1) as driven, contenders(planned, driven) as running, bar:
        task = bar.add_task("", total=ROUNDS * len(planned))
        for turn in range(ROUNDS * len(planned)):
            round_, place = divmod(turn, len(planned))
            if not place and not console.is_terminal:
                console.print(f"Round {round_ + 1} of {ROUNDS}")
            title = planned[place].title
            bar.update(task, description=f"{round_ + 1}/{ROUNDS} {title:<20}")

            def show(share: float, turn: int = turn) -> None:
                bar.update(task, completed=turn + share)

            running[place].drive(clients, each, show)
        results = [contender.result for contender in running]
    console.print()
    return results


def introduction(cores: int, clients: int) -> str:
    source = sample()
    as_html(source)  # the first time costs more
    began = time.process_time()
    as_html(source)
    cost = (time.process_time() - began) * 1000
    lines = source.count(b"\n")
    return (
        f"The job: {lines} lines of Python into HTML, by Pygments; {cost:.1f} ms of one core. "
        f"{clients} clients, {cores} core{'s' * (cores > 1)}.{busy_note()}"
    )
