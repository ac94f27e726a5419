"""`prefork demo`, from the first process to the last line."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from prefork.cli.demo import report
from prefork.cli.demo.highlight import as_html, sample
from prefork.cli.demo.steps import Result, StepFailed, length_of, measure, steps
from prefork.cli.outcomes import Exit
from prefork.cores import usable_cores


def demo(seconds: float | None, cores: int | None) -> int:
    """Measure step by step, then show; the exit code is returned."""
    console = Console()
    try:
        results = measure_all(console, seconds, cores or usable_cores())
    except KeyboardInterrupt:
        console.print("Interrupted; every process of the demo has ended.")
        return Exit.INTERRUPTED
    except StepFailed as failure:
        console.print(str(failure))
        return Exit.FORCED
    report.show(console, results)
    return Exit.FORCED if any(result.failures for result in results) else Exit.DONE


def measure_all(console: Console, seconds: float | None, cores: int) -> list[Result]:
    planned = steps(cores)
    each = seconds or length_of(len(planned))
    clients = 2 * cores
    console.print(introduction(cores, clients))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    results = []
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(planned))
        for done, step in enumerate(planned):
            progress.update(task, description=f"{step.title:<20}")

            def show(share: float, done: int = done) -> None:
                progress.update(task, completed=done + share)

            results.append(measure(step, clients, each, show))
            progress.update(task, completed=done + 1)
            if not console.is_terminal:
                console.print(f"{step.title}: {results[-1].rate:.1f} requests/s")
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
        f"{clients} clients, {cores} core{'s' * (cores > 1)}."
    )
