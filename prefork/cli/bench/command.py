"""`prefork bench`, from the words to the last line."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from statistics import median

from rich.console import Console

from prefork.cli.bench import record, report
from prefork.cli.bench.advice import advice
from prefork.cli.bench.cells import cells_of, counted, default_counts
from prefork.cli.bench.options import BenchOptions
from prefork.cli.bench.plan import WARM_UP, length_of, rounds_for, turns
from prefork.cli.bench.servers import Play
from prefork.cli.bench.stage import Contender, contenders
from prefork.cli.charts import progress_bar
from prefork.cli.load.children import ChildFailed
from prefork.cli.load.drivers import Drivers, callers, drivers
from prefork.cli.load.machine import Machine, Others, busy_note
from prefork.cli.load.orders import Exchange, Order
from prefork.cli.outcomes import Exit, Refusal
from prefork.cli.streams import outlive_readers
from prefork.readings.cores import usable_cores

MOST_CALLERS = 32
"""Processes of a --client, unless a number is said."""
LONGEST_SHOWN = 40
"""Bytes of a request that are shown."""
TRYING = 0.25
"""The part of the time that the first request to each server may take, all together."""
NOTICED = 0.1
"""Seconds after an empty answer in which a master has noticed that its worker has died of it."""
NO_ANSWER = (
    "The answer to this request is empty: a request counts as served when its connection is closed "
    "by the handler."
)


class RequestFailed(RuntimeError):
    """The first request to a server failed; the message says how, with the handler's traceback."""


def run(target: str, options: BenchOptions) -> int:
    """Measure, show, write; the exit code is returned.

    Errors: `Refusal`.
    """
    outlive_readers()
    options.check()
    if options.output is not None:
        record.make_room(options.output)
    console = Console()
    try:
        measured = measure_all(console, target, options)
    except KeyboardInterrupt:
        console.print("Interrupted; every process of the bench has ended.")
        return Exit.INTERRUPTED
    except (ChildFailed, RequestFailed) as failure:
        Console(stderr=True).print(str(failure), markup=False, highlight=False, soft_wrap=True)
        return Exit.FORCED
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
        order = Order(contender.address, 1, exchange=self.exchange)
        measured = contender.take(self.drivers, order).measured
        if not (measured.failures or measured.received or self.own_client):
            time.sleep(NOTICED)
        if not measured.failures and not contender.reports_an_error:
            contender.tail = self.clients * measured.took[0]
            return measured.received
        complaint = "\n".join(filter(None, [measured.reason.strip(), contender.printed]))
        raise RequestFailed(f"The first request failed ({contender.cell.title}):\n{complaint}")

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
    play = Play(target, options.handler, str(options.app_dir), options.bind, cells)
    exchange = Exchange(
        options.request or b"",
        datagrams=not options.bind.is_stream,
        half_close=not options.keep_open,
        may_be_empty=True,
    )
    note = busy_note()
    with contextlib.ExitStack() as stack:
        if options.client is not None:
            clients = options.clients or min(clients, MOST_CALLERS)
            load = stack.enter_context(callers(clients, options.client, options.app_dir))
        else:
            load = stack.enter_context(drivers(min(clients, max(1, cores // 2))))
        running = stack.enter_context(contenders(play))
        notes = [left_out] if left_out else []
        bench = Bench(console, load, running, exchange, clients, options.client is not None, notes)
        began = time.monotonic()
        bench.try_each(TRYING * options.seconds)
        intro = (
            f"{target} on {scheme}, {counted(clients, 'client')}, {counted(cores, 'core')}; "
            f"{counted(len(running), 'server')} within {options.seconds:g} s."
        )
        if options.request is not None:
            intro += f" The request: {shortened(options.request)}."
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


def shortened(request: bytes) -> str:
    """As much of it as shows whether it is what was meant: the name of a file that is not there
    would be sent as a text."""
    if len(request) <= LONGEST_SHOWN:
        return repr(request)[1:]
    return f"{repr(request[:LONGEST_SHOWN])[1:]} and so on, {len(request)} bytes"
