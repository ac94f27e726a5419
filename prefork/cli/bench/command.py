"""Runs `prefork bench`, from the options to the last line of its output."""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from rich.console import Console

from prefork.advice.phrasing import counted
from prefork.cli.bench import plots, report
from prefork.cli.bench.advice import advice
from prefork.cli.bench.candidates import candidates_of, default_counts
from prefork.cli.bench.hosted_candidates import HostedCandidate, hosted
from prefork.cli.bench.options import BenchOptions
from prefork.cli.bench.record import NAME, BenchRecord
from prefork.cli.bench.server_process import BenchJob
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
from prefork.loadtest.drivers import Drivers
from prefork.loadtest.hosted_server import RequestFailed
from prefork.loadtest.machine import Machine, Others, busy_note
from prefork.loadtest.protocol import Exchange, Order
from prefork.loadtest.schedule import WARM_UP, length_of, rounds_for, trial_order
from prefork.readings.cores import usable_cores

TRYING = 0.25
"""The share of the time that the first requests to all servers may take together."""


def run(target: str, options: BenchOptions) -> int:
    """Measure, print and write the results; return the exit code.

    Errors: `Refusal`.
    """
    outlive_readers()
    options.check()
    if options.output is not None:
        output.make_folder(options.output, NAME)
    console = Console()
    return attempt("bench", console, lambda: measure_and_show(console, target, options))


def measure_and_show(console: Console, target: str, options: BenchOptions) -> Exit:
    """Measure and print the results; write them if --output names a folder.

    Errors: `Refusal`, `RequestFailed`, `StartRefused`, `ChildFailed`.
    """
    record = measure_all(console, target, options)
    report.show(console, record)
    if options.output is not None:
        console.print(write(record, options.output), markup=False, soft_wrap=True)
    failed = any(result.summary.failures for result in record.results)
    return Exit.FORCED if failed else Exit.DONE


def write(record: BenchRecord, folder: Path) -> str:
    """Write JSON and PNG, and return a sentence that names the files.

    Errors: `Refusal`.
    """
    draw = functools.partial(plots.draw, record)
    return output.write(folder, NAME, record.as_json(), draw, extra="plots")


@dataclass
class Bench:
    """The running servers and their clients."""

    console: Console
    drivers: Drivers
    servers: list[HostedCandidate]
    exchange: Exchange
    clients: int
    own_client: bool
    """Whether the user's function performs the exchanges."""
    notes: list[str]

    def try_each(self, seconds: float) -> None:
        """Send one request to each server: always to the first, to the others within `seconds`.

        The first shows whether an answer may be empty. A reference that fails is left out, because
        the handler may need something that only a pool provides.

        Errors: `RequestFailed`, `ChildFailed`.
        """
        until = time.monotonic() + seconds
        first, *others = self.servers
        received = self._try(first)
        self.exchange = replace(self.exchange, may_be_empty=not received)
        if not received and not self.own_client:
            self.notes.append(NO_ANSWER)
        for server in others:
            if time.monotonic() > until:
                break
            try:
                self._try(server)
            except RequestFailed:
                if not server.candidate.is_reference:
                    raise
                self.servers.remove(server)
                self.notes.append(f"{server.title} is left out: its first request failed.")

    def _try(self, server: HostedCandidate) -> int:
        measured = server.first_request(self.drivers, self.exchange, self.own_client)
        server.tail = self.clients * measured.latencies.longest
        return measured.received

    def measure(self, until: float) -> int:
        """Run trials until `until` (monotonic clock), and return the number of planned rounds.

        Errors: `ChildFailed`.
        """
        count = len(self.servers)
        tail = median(server.tail for server in self.servers)
        rounds = rounds_for(until - time.monotonic(), count, tail)
        with progress_bar(self.console) as bar:
            task = bar.add_task("", total=rounds * count)
            for number, (round_, place) in enumerate(trial_order(rounds, count)):
                if (left := until - time.monotonic()) <= 0:
                    break
                server = self.servers[place]
                if not number % count and not self.console.is_terminal:
                    self.console.print(f"Round {round_ + 1} of {rounds}")
                bar.update(task, description=f"{round_ + 1}/{rounds} {server.title:<26}")
                seconds = length_of(left, rounds * count - number, server.tail)
                order = Order(
                    server.address,
                    self.clients,
                    WARM_UP * seconds,
                    (1 - WARM_UP) * seconds,
                    self.exchange,
                )

                def show(share: float, number: int = number) -> None:
                    bar.update(task, completed=number + share)

                server.trials.append(server.run_trial(self.drivers, order, show))
        return rounds


def measure_all(console: Console, target: str, options: BenchOptions) -> BenchRecord:
    """Measure all candidates.

    Errors: `Refusal`, `RequestFailed`, `StartRefused`, `ChildFailed`.
    """
    cores = usable_cores()
    counts = options.max_children or default_counts(cores)
    scheme = options.bind.scheme
    candidates, left_out = candidates_of(options.strategies, counts, scheme)
    if not candidates:
        raise Refusal("Nothing is left to compare: reuseport needs a TCP or UDP port.")
    clients = options.clients or max(2 * cores, *counts)
    if options.client is not None and options.clients is None:
        clients = min(clients, MOST_CALLERS)
    job = BenchJob(target, options.handler, str(options.app_dir), options.bind, candidates)
    note = busy_note()
    with contextlib.ExitStack() as stack:
        drivers = stack.enter_context(clients_for(options, clients))
        servers = stack.enter_context(hosted(job))
        notes = [left_out] if left_out else []
        own_client = options.client is not None
        bench = Bench(console, drivers, servers, options.exchange, clients, own_client, notes)
        began = time.monotonic()
        bench.try_each(TRYING * options.seconds)
        intro = (
            f"{target} on {scheme}, {counted(clients, 'client')}, {counted(cores, 'core')}; "
            f"{counted(len(servers), 'server')}, {options.seconds:g} s.{request_shown(options)}"
        )
        console.print(" ".join([intro, *notes]) + note, markup=False)
        others = Others()
        rounds = bench.measure(began + options.seconds)
        others_percent = others.percent
        results = [server.result for server in servers]
    return BenchRecord(
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
        trials=[server.trials for server in servers],
        complaints=[(server.title, server.complaint) for server in servers if server.complaint],
        advice=advice(results, cores, others_percent),
    )
