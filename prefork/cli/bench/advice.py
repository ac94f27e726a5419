"""One sentence: which cell to take, and why; nothing that the figures do not say.

More requests per second win. What is within the noise of the best is as good, and of these the
simplest is taken: accept, fifo, with few workers.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefork.advice.phrasing import shown
from prefork.cli.bench.cells import Cell
from prefork.cli.bench.results import Result
from prefork.loadtest.machine import BUSY

UNEVEN = 1.5
"""From how many times another's p99 on a word is said about it."""


def winner(results: Sequence[Result]) -> Result | None:
    """The one to take; `None` when no pool has served without failures."""
    pools = [r for r in results if not r.cell.is_reference and r.rate.value and not r.failures]
    if not pools:
        return None
    best = max(pools, key=lambda r: r.rate.value)
    as_good = [r for r in pools if not best.rate.clearly_above(r.rate)]
    return min(as_good, key=lambda r: r.cell.simplicity)


def advice(results: Sequence[Result], cores: int, others_percent: float) -> str:
    """The sentence, for a machine with so many cores, of which others took some part."""
    taken = winner(results)
    if taken is None:
        return "There is nothing to recommend: no pool has served every request."
    one = _against_one_worker(taken, results)
    reasons = [
        *_against_more_workers(taken, results, cores),
        *_against_accept(taken, results),
        *_against_forking(taken, results),
        *_against_references(taken, results),
    ]
    said = f"Take {taken.cell.title}: {shown(taken.rate.value)} requests/s{one}"
    if reasons:
        said += f"; {', '.join(reasons)}"
    return f"{said}{_doubt(taken, results, others_percent)}."


def _against_one_worker(taken: Result, results: Sequence[Result]) -> str:
    one = next((r for r in _same_strategy(taken, results) if r.cell.workers == 1), None)
    if one is None or not taken.rate.clearly_above(one.rate):
        return ""
    return f", {_times(taken.rate.value / one.rate.value)} one worker's"


def _against_more_workers(taken: Result, results: Sequence[Result], cores: int) -> list[str]:
    workers = taken.cell.workers
    others = _same_strategy(taken, results)
    if any(r.cell.workers > workers for r in others):
        if workers == 1:
            return ["more workers bring nothing"]
        than = f"workers than the {cores} cores" if workers == cores else f"than {workers} workers"
        return [f"more {than} bring nothing"]
    if any(r.cell.workers < workers for r in others):  # all clearly less, or one would be taken
        return [f"still more may bring more (--max-children {workers},{2 * workers})"]
    return []


def _against_accept(taken: Result, results: Sequence[Result]) -> list[str]:
    """Why it is worth while to leave the default, and what that costs."""
    accepts = [r for r in results if r.cell.strategy == "accept" and r.rate.value]
    if taken.cell.strategy == "accept" or not accepts:
        return []
    accept = max(accepts, key=lambda r: r.rate.value)
    more = 100 * (taken.rate.value / accept.rate.value - 1)
    said = [f"{more:.0f} % more than {accept.cell.title}"]
    if taken.p99 > UNEVEN * accept.p99 > 0:
        said.append(f"but a p99 of {shown(taken.p99)} ms in place of {shown(accept.p99)} ms")
    return said


def _against_forking(taken: Result, results: Sequence[Result]) -> list[str]:
    fork = next((r for r in results if r.cell == Cell("fork", taken.cell.workers)), None)
    if fork is None or not fork.requests or not fork.cpu.clearly_above(taken.cpu):
        return []
    more = fork.cpu.value - taken.cpu.value
    return [f"fork costs {shown(more)} ms of CPU a request more"]


def _against_references(taken: Result, results: Sequence[Result]) -> list[str]:
    others = [r for r in results if r.cell.is_reference and r.rate.value and not r.failures]
    if not others:
        return []
    best = max(others, key=lambda r: r.rate.value)
    if best.rate.clearly_above(taken.rate):
        return [f"{best.cell.title} serves {_times(best.rate.value / taken.rate.value)} as many"]
    if taken.rate.clearly_above(best.rate):
        return [f"{best.cell.title} serves {shown(best.rate.value)}"]
    return []


def _doubt(taken: Result, results: Sequence[Result], others_percent: float) -> str:
    """Why this sentence may well be wrong; nothing when it is not likely to be."""
    if left_out := sum(not (r.requests or r.failures) for r in results):
        return (
            f", but the time was over before {left_out} of the {len(results)} servers had a turn: "
            "compare fewer --strategies, or give it more --seconds"
        )
    if others_percent > BUSY:
        what = f"something else took {others_percent:.0f} % of the machine"
    elif taken.rate.vague:
        what = f"its turns differ by ±{100 * taken.rate.margin / taken.rate.value:.0f} %"
    else:
        return ""
    return f", but {what}, so measure again when all is quiet"


def _same_strategy(taken: Result, results: Sequence[Result]) -> list[Result]:
    same = (r for r in results if r.cell.strategy == taken.cell.strategy)
    return [r for r in same if r.requests and not r.failures]


def _times(ratio: float) -> str:
    return "twice" if 1.95 <= ratio < 2.05 else f"{ratio:.1f} times"
