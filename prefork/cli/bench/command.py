"""`prefork bench`, from the words to the last line."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from statistics import median

from rich.console import Console

from prefork.advice.phrasing import counted
from prefork.cli.bench import record, report
from prefork.cli.bench.advice import advice
from prefork.cli.bench.cells import cells_of, default_counts
from prefork.cli.bench.hosted import Contender, contenders
from prefork.cli.bench.options import BenchOptions
from prefork.cli.bench.server_process import Play
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
from prefork.loadtest.drivers import Drivers
from prefork.loadtest.hosted_server import RequestFailed
from prefork.loadtest.machine import Machine, Others, busy_note
from prefork.loadtest.protocol import Exchange, Order
from prefork.loadtest.schedule import WARM_UP, length_of, rounds_for, turns
from prefork.readings.cores import usable_cores

TRYING = 0.25
"""The part of the time that the first request to each server may take, all together."""


def run(target: str, options: BenchOptions) -> int:
    """Measure, show, write; the exit code is returned.

    Errors: `Refusal`.
    """
    outlive_readers()
    options.check()
    if options.output is not None:
        make_room(options.output, record.NAME)
    console = Console()
    return attempt("bench", console, lambda: measure_and_tell(console, target, options))


def measure_and_tell(console: Console, target: str, options: BenchOptions) -> Exit:
    """Errors: `Refusal`, `RequestFailed`, `ChildFailed`."""
    measured = measure_all(console, target, options)
    report.show(console, measured)
    if options.output is not None:
        console.print(record.write(measured, options.output), markup=False, soft_wrap=True)
    return Exit.FORCED if any(result.failures for result in measured.results) else Exit.DONE


@dataclass
class Bench:
    """The servers and their clients, both running."""

    console: Console
    drivers: Drivers
    contenders: list[Contender]
    exchange: Exchange
    clients: int
    own_client: bool
    """Whether the user's function does the exchanges."""
    notes: list[str]

    def try_each(self, seconds: float) -> None:
        """One request to each server, the first one always and the others within `seconds`.

        Whether an answer may be empty is learned from the first. A reference that fails is left
        out: the handler may need what only a pool has.

        Errors: `RequestFailed`, `ChildFailed`.
        """
        until = time.monotonic() + seconds
        first, *others = self.contenders
        received = self._try(first)
        self.exchange = replace(self.exchange, may_be_empty=not received)
        if not received and not self.own_client:
            self.notes.append(NO_ANSWER)
        for contender in others:
            if time.monotonic() > until:
                break
            try:
                self._try(contender)
            except RequestFailed:
                if not contender.cell.is_reference:
                    raise
                self.contenders.remove(contender)
                self.notes.append(f"{contender.cell.title} is left out: its first request failed.")

    def _try(self, contender: Contender) -> int:
        measured = contender.first(self.drivers, self.exchange, self.own_client)
        contender.tail = self.clients * measured.took[0]
        return measured.received

    def measure(self, until: float) -> int:
        """Take turns until then (by the monotonic clock); how many rounds were planned.

        Errors: `ChildFailed`.
        """
        count = len(self.contenders)
        tail = median(contender.tail for contender in self.contenders)
        rounds = rounds_for(until - time.monotonic(), count, tail)
        with progress_bar(self.console) as bar:
            task = bar.add_task("", total=rounds * count)
            for number, (round_, place) in enumerate(turns(rounds, count)):
                if (left := until - time.monotonic()) <= 0:
                    break
                contender = self.contenders[place]
                if not number % count and not self.console.is_terminal:
                    self.console.print(f"Round {round_ + 1} of {rounds}")
                bar.update(task, description=f"{round_ + 1}/{rounds} {contender.cell.title:<26}")
                seconds = length_of(left, rounds * count - number, contender.tail)
                order = Order(
                    contender.address,
                    self.clients,
                    WARM_UP * seconds,
                    (1 - WARM_UP) * seconds,
                    self.exchange,
                )

                def show(share: float, number: int = number) -> None:
                    bar.update(task, completed=number + share)

                contender.turns.append(contender.take(self.drivers, order, show))
        return rounds


def measure_all(console: Console, target: str, options: BenchOptions) -> record.Record:
    """Errors: `Refusal`, `RequestFailed`, `ChildFailed`."""
    cores = usable_cores()
    counts = options.max_children or default_counts(cores)
    scheme = options.bind.scheme
    cells, left_out = cells_of(options.strategies, counts, scheme)
    if not cells:
        raise Refusal("Nothing is left to compare: reuseport needs a TCP or UDP port.")
    clients = options.clients or max(2 * cores, *counts)
    if options.client is not None and options.clients is None:
        clients = min(clients, MOST_CALLERS)
    play = Play(target, options.handler, str(options.app_dir), options.bind, cells)
    note = busy_note()
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(clients_for(options, clients))
        running = stack.enter_context(contenders(play))
        notes = [left_out] if left_out else []
        own_client = options.client is not None
        bench = Bench(console, load, running, options.exchange, clients, own_client, notes)
        began = time.monotonic()
        bench.try_each(TRYING * options.seconds)
        intro = (
            f"{target} on {scheme}, {counted(clients, 'client')}, {counted(cores, 'core')}; "
            f"{counted(len(running), 'server')} within {options.seconds:g} s."
            f"{request_shown(options)}"
        )
        console.print(" ".join([intro, *notes]) + note, markup=False)
        others = Others()
        rounds = bench.measure(began + options.seconds)
        others_percent = others.percent
        results = [one.result for one in running]
    return record.Record(
        target=target,
        scheme=scheme,
        client=options.client,
        request=options.request,
        clients=clients,
        rounds=rounds,
        seconds=options.seconds,
        machine=Machine.here(),
        others_percent=others_percent,
        results=results,
        turns=[one.turns for one in running],
        complaints=[(one.cell.title, one.complaint) for one in running if one.complaint],
        advice=advice(results, cores, others_percent),
    )
