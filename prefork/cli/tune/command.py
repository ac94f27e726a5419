"""`prefork tune`, from the words to the last line."""

from __future__ import annotations

import contextlib
import importlib.util
import shlex
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from prefork.advice.phrasing import counted
from prefork.advice.recommendation import Place
from prefork.cli.addresses import EXAMPLES
from prefork.cli.charts import progress_bar
from prefork.cli.measuring.output import make_room
from prefork.cli.measuring.session import (
    MOST_CALLERS,
    NO_ANSWER,
    attempt,
    clients_for,
    request_shown,
)
from prefork.cli.outcomes import Exit, Refusal
from prefork.cli.streams import outlive_readers
from prefork.cli.tune import record, report
from prefork.cli.tune.conclusions import Wish, conclude
from prefork.cli.tune.counts import ANY
from prefork.cli.tune.hosted_pool import pool_of
from prefork.cli.tune.options import TuneOptions
from prefork.cli.tune.sweep import Announce, Sweep
from prefork.loadtest.drivers import Progress
from prefork.loadtest.machine import Machine, Others, busy_note
from prefork.readings.backlog import longest_backlog
from prefork.readings.cores import usable_cores

PROFILE = 0.12
"""The part of the time that goes to one worker alone."""


def run(target: str, options: TuneOptions) -> int:
    """Measure, show, write; the exit code is returned.

    Errors: `Refusal`.
    """
    outlive_readers()
    options.check()
    if importlib.util.find_spec("scipy") is None:
        raise Refusal("prefork tune needs scipy for its curve: pip install 'prefork[tune]'.")
    if options.output is not None:
        make_room(options.output, record.NAME)
    console = Console()
    return attempt("tune", console, lambda: measure_and_tell(console, target, options))


def measure_and_tell(console: Console, target: str, options: TuneOptions) -> Exit:
    """Errors: `Refusal`, `RequestFailed`, `ChildFailed`."""
    measured = measure_all(console, target, options)
    report.show(console, measured)
    if options.output is not None:
        console.print(record.write(measured, options.output), markup=False, soft_wrap=True)
    failed = measured.found is None or any(size.summary.failures for size in measured.sizes)
    return Exit.FORCED if failed else Exit.DONE


def measure_all(console: Console, target: str, options: TuneOptions) -> record.Record:
    """Errors: `Refusal`, `RequestFailed`, `ChildFailed`."""
    cores = usable_cores()
    most_clients = callers_for(options)
    note = busy_note()
    with contextlib.ExitStack() as stack:
        drivers = stack.enter_context(clients_for(options, most_clients or cores))
        pool = stack.enter_context(pool_of(options.job(target)))
        pool.resize(1)
        empty = not pool.first(drivers, options.exchange, most_clients is not None).received
        intro = (
            f"{target} on {options.bind.scheme}, {counted(cores, 'core')}; within "
            f"{options.seconds:g} s.{request_shown(options)}"
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
        alone = sweep.profile(PROFILE * options.seconds)
        if alone is not None:
            sweep.measure(alone, until)
        others_percent = others.percent
    here = Place(cores, sweep.memory_for_workers, longest_backlog())
    there = Place(options.cores or cores, options.memory or here.memory, here.longest_backlog)
    more_memory = (there.memory or 0) > (here.memory or 0)
    wish = Wish(options.target.p99, options.rate, there, there.cores != cores or more_memory)
    numbers = [number for number in sorted(sweep.turns) if number in options.max_children]
    sizes = [sweep.size(number) for number in numbers]
    served = any(size.summary.rate.value and not size.summary.failures for size in sizes)
    found = None
    if alone is not None and served:
        with console.status("Simulating"):
            found = conclude(sizes, alone, here, wish, pool.threads)
    return record.Record(
        target=target,
        extra=words_for_serve(options),
        scheme=options.bind.scheme,
        client=options.client,
        request=options.request,
        seconds=options.seconds,
        machine=Machine.here(),
        others_percent=others_percent,
        wish=wish,
        sizes=sizes,
        turns=[sweep.turns[number] for number in numbers],
        found=found,
        complaint=pool.complaint,
    )


def callers_for(options: TuneOptions) -> int | None:
    """Processes of a --client, which are the most workers that are tried; `None` without one."""
    if options.client is None:
        return None
    return MOST_CALLERS if options.max_children == ANY else options.max_children.most


@contextlib.contextmanager
def announcing(console: Console, seconds: float) -> Iterator[Announce]:
    """A progress bar for so many seconds; where there is no terminal, a line for what is new."""
    said = set()
    began = time.monotonic()
    with progress_bar(console) as bar:
        task = bar.add_task("", total=seconds)

        def announce(what: str) -> Progress:
            if not console.is_terminal and what not in said:
                console.print(what)
                said.add(what)
            bar.update(task, description=f"{what:<18}")
            return lambda share: bar.update(task, completed=time.monotonic() - began)

        yield announce


def words_for_serve(options: TuneOptions) -> tuple[str, ...]:
    """What `prefork serve` has to be told as well."""
    words = []
    if options.bind.scheme != "tcp":
        words.append(f"--bind {EXAMPLES[options.bind.scheme]}")
    if options.handler is not None:
        words.append(f"--handler {options.handler}")
    if options.app_dir != Path("."):
        words.append(f"--app-dir {shlex.quote(str(options.app_dir))}")
    return tuple(words)
