"""Runs `prefork tune`, from the options to the last line of its output."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import shlex
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from prefork.advice.phrasing import counted
from prefork.advice.recommendation import Resources
from prefork.cli.addresses import EXAMPLES
from prefork.cli.measuring import output
from prefork.cli.measuring.session import (
    MOST_CALLERS,
    NO_ANSWER,
    attempt,
    clients_for,
    request_shown,
)
from prefork.cli.outcomes import Exit, Refusal
from prefork.cli.streams import outlive_readers
from prefork.cli.terminal_charts import progress_bar
from prefork.cli.tune import plots, report
from prefork.cli.tune.conclusions import Requirements, conclude
from prefork.cli.tune.hosted_pool import pool_of
from prefork.cli.tune.options import TuneOptions
from prefork.cli.tune.parsing import ANY
from prefork.cli.tune.record import NAME, TuneRecord
from prefork.cli.tune.sweep import Announce, Sweep
from prefork.loadtest.drivers import Progress
from prefork.loadtest.machine import Machine, Others, busy_note
from prefork.readings.backlog import longest_backlog
from prefork.readings.cores import usable_cores

PROFILE = 0.12
"""The share of the time in which a single worker is measured."""


def run(target: str, options: TuneOptions) -> int:
    """Measure, print and write the results; return the exit code.

    Errors: `Refusal`.
    """
    outlive_readers()
    options.check()
    if importlib.util.find_spec("scipy") is None:
        raise Refusal("prefork tune needs scipy for its curve: pip install 'prefork[tune]'.")
    if options.output is not None:
        output.make_folder(options.output, NAME)
    console = Console()
    return attempt("tune", console, lambda: measure_and_show(console, target, options))


def measure_and_show(console: Console, target: str, options: TuneOptions) -> Exit:
    """Measure and print the results; write them if --output names a folder.

    Errors: `Refusal`, `RequestFailed`, `StartRefused`, `ChildFailed`.
    """
    record = measure_all(console, target, options)
    report.show(console, record)
    if options.output is not None:
        console.print(write(record, options.output), markup=False, soft_wrap=True)
    failed = record.found is None or any(size.summary.failures for size in record.sizes)
    return Exit.FORCED if failed else Exit.DONE


def write(record: TuneRecord, folder: Path) -> str:
    """Write JSON and PNG, and return a sentence that names the files.

    Errors: `Refusal`.
    """
    draw = functools.partial(plots.draw, record)
    return output.write(folder, NAME, record.as_json(), draw, extra="tune")


def measure_all(console: Console, target: str, options: TuneOptions) -> TuneRecord:
    """Measure pools of several sizes, and derive the advice.

    Errors: `Refusal`, `RequestFailed`, `StartRefused`, `ChildFailed`.
    """
    cores = usable_cores()
    most_clients = callers_for(options)
    note = busy_note()
    with contextlib.ExitStack() as stack:
        drivers = stack.enter_context(clients_for(options, most_clients or cores))
        pool = stack.enter_context(pool_of(options.job(target)))
        pool.resize(1)
        own_client = most_clients is not None
        empty = not pool.first_request(drivers, options.exchange, own_client).received
        intro = (
            f"{target} on {options.bind.scheme}, {counted(cores, 'core')}; {options.seconds:g} s."
            f"{request_shown(options)}"
        )
        if empty and options.client is None:
            intro += f" {NO_ANSWER}"
        console.print(intro + note, markup=False)
        others = Others()
        sweep = Sweep(
            pool,
            drivers,
            replace(options.exchange, may_be_empty=empty),
            options.max_children,
            cores,
            most_clients,
            options.memory,
            stack.enter_context(announcing(console, options.seconds)),
        )
        until = time.monotonic() + options.seconds
        baseline = sweep.profile(PROFILE * options.seconds)
        if baseline is not None:
            sweep.measure(baseline, until)
        others_percent = others.percent
    here = Resources(cores, sweep.memory_for_workers, longest_backlog())
    requirements = requirements_of(options, here)
    numbers = [number for number in sorted(sweep.trials) if number in options.max_children]
    sizes = [sweep.size(number) for number in numbers]
    served = any(size.summary.rate.value and not size.summary.failures for size in sizes)
    found = None
    if baseline is not None and served:
        with console.status("Simulating"):
            found = conclude(sizes, baseline, here, requirements, pool.threads)
    return TuneRecord(
        target=target,
        extra=options_for_serve(options),
        scheme=options.bind.scheme,
        client=options.client,
        request=options.request,
        seconds=options.seconds,
        machine=Machine.here(),
        others_percent=others_percent,
        requirements=requirements,
        sizes=sizes,
        trials=[sweep.trials[number] for number in numbers],
        found=found,
        complaint=pool.complaint,
    )


def requirements_of(options: TuneOptions, here: Resources) -> Requirements:
    """Return what the advice is for: by default, the machine where the pool was measured."""
    memory = options.memory or here.memory
    there = Resources(options.cores or here.cores, memory, here.longest_backlog)
    elsewhere = there.cores != here.cores or (there.memory or 0) > (here.memory or 0)
    return Requirements(options.target.p99, options.rate, there, elsewhere)


def callers_for(options: TuneOptions) -> int | None:
    """Return the number of processes for --client, or `None` if that option is not given.

    It is also the maximum number of workers to try.
    """
    if options.client is None:
        return None
    return MOST_CALLERS if options.max_children == ANY else options.max_children.most


@contextlib.contextmanager
def announcing(console: Console, seconds: float) -> Iterator[Announce]:
    """Yield a function that shows the title of a trial.

    The title is shown in a progress bar, or printed once if the output is not a terminal.
    """
    printed = set()
    began = time.monotonic()
    with progress_bar(console) as bar:
        task = bar.add_task("", total=seconds)

        def announce(title: str) -> Progress:
            if not console.is_terminal and title not in printed:
                console.print(title)
                printed.add(title)
            bar.update(task, description=f"{title:<18}")
            return lambda share: bar.update(task, completed=time.monotonic() - began)

        yield announce


def options_for_serve(options: TuneOptions) -> tuple[str, ...]:
    """Return the options that `prefork serve` also needs."""
    words = []
    if options.bind.scheme != "tcp":
        words.append(f"--bind {EXAMPLES[options.bind.scheme]}")
    if options.handler is not None:
        words.append(f"--handler {options.handler}")
    if options.app_dir != Path("."):
        words.append(f"--app-dir {shlex.quote(str(options.app_dir))}")
    return tuple(words)
