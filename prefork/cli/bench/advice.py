"""Says in one sentence which candidate to use and why, from the figures alone.

The candidate with the most requests per second wins. If several are as good as the best within the
noise (`prefork.advice.noise`), the simplest of them wins: accept, fifo, few workers.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefork.advice.noise import Estimate, completed, is_clearly_above, preferred
from prefork.advice.phrasing import shown
from prefork.cli.bench.candidates import Candidate, CandidateResult
from prefork.loadtest.machine import BUSY
from prefork.settings import Settings

DEFAULT = Settings().strategy

UNEVEN = 1.5
"""A p99 is mentioned if it is more than this many times another candidate's."""

Results = Sequence[CandidateResult]


def winner(results: Results) -> CandidateResult | None:
    """Return the result of the candidate to use; `None` if no pool has served without failures."""
    pools = [one for one in with_known_errors(results) if not one.candidate.is_reference]
    if not pools:
        return None
    best = preferred(pools, lambda one: one.summary.rate, lambda one: one.candidate.complexity)
    return next(one for one in results if one.candidate == best.candidate)


def with_known_errors(results: Results) -> list[CandidateResult]:
    """Return the results without failures; rates from few trials get at least the usual margin."""
    served = [one for one in results if one.has_served]
    rates = completed([one.summary.rate for one in served])
    return [
        CandidateResult(one.candidate, one.summary._replace(rate=rate))
        for one, rate in zip(served, rates, strict=True)
    ]


def advice(results: Results, cores: int, others_percent: float) -> str:
    """Return the sentence; other programs used `others_percent` of the CPU of all cores."""
    taken = winner(results)
    if taken is None:
        return "Nothing to recommend: no pool has served every request."
    served = with_known_errors(results)
    taken = next(one for one in served if one.candidate == taken.candidate)
    reasons = [
        *_against_more_workers(taken, served, cores),
        *_against_accept(taken, served),
        *_against_forking(taken, served),
        *_against_references(taken, served),
    ]
    text = f"Use {taken.candidate.title}: {shown(_rate(taken).value)} requests/s"
    text += _against_one_worker(taken, served)
    if reasons:
        text += f"; {', '.join(reasons)}"
    return f"{text}.{_doubt(taken, results, others_percent)}"


def _rate(result: CandidateResult) -> Estimate:
    return result.summary.rate


def _against_one_worker(taken: CandidateResult, served: Results) -> str:
    one = next((r for r in _same_strategy(taken, served) if r.candidate.workers == 1), None)
    if one is None or not is_clearly_above(_rate(taken), _rate(one)):
        return ""
    return f", {_times(_rate(taken).value / _rate(one).value)} as many as with one worker"


def _against_more_workers(taken: CandidateResult, served: Results, cores: int) -> list[str]:
    workers = taken.candidate.workers
    others = _same_strategy(taken, served)
    if any(r.candidate.workers > workers for r in others):
        if workers == 1:
            return ["more workers do not serve more"]
        than = f"workers than the {cores} cores" if workers == cores else f"than {workers} workers"
        return [f"more {than} do not serve more"]
    if any(r.candidate.workers < workers for r in others):
        # All of them are clearly slower, or one of them would have been chosen.
        return [f"more workers may serve more (--max-children {workers},{2 * workers})"]
    return []


def _against_accept(taken: CandidateResult, served: Results) -> list[str]:
    """Say why another strategy than the default is worthwhile, and what it costs."""
    accepts = [r for r in served if r.candidate.strategy == DEFAULT]
    if taken.candidate.strategy == DEFAULT or not accepts:
        return []
    accept = max(accepts, key=lambda r: _rate(r).value)
    more = 100 * (_rate(taken).value / _rate(accept).value - 1)
    reasons = [f"{more:.0f} % more than {accept.candidate.title}"]
    if taken.summary.p99 > UNEVEN * accept.summary.p99 > 0:
        reasons.append(
            f"but with a p99 of {shown(taken.summary.p99)} ms instead of "
            f"{shown(accept.summary.p99)} ms"
        )
    return reasons


def _against_forking(taken: CandidateResult, served: Results) -> list[str]:
    workers = taken.candidate.workers
    fork = next((r for r in served if r.candidate == Candidate("fork", workers)), None)
    if fork is None or not is_clearly_above(fork.summary.cpu, taken.summary.cpu):
        return []
    more = fork.summary.cpu.value - taken.summary.cpu.value
    return [f"fork uses {shown(more)} ms more CPU per request"]


def _against_references(taken: CandidateResult, served: Results) -> list[str]:
    others = [r for r in served if r.candidate.is_reference]
    if not others:
        return []
    best = max(others, key=lambda r: _rate(r).value)
    if is_clearly_above(_rate(best), _rate(taken)):
        times = _times(_rate(best).value / _rate(taken).value)
        return [f"{best.candidate.title} serves {times} as many"]
    if is_clearly_above(_rate(taken), _rate(best)):
        return [f"{best.candidate.title} serves {shown(_rate(best).value)}"]
    return []


def _doubt(taken: CandidateResult, results: Results, others_percent: float) -> str:
    """Return a second sentence if the first one may be wrong."""
    if left_out := sum(not one.was_measured for one in results):
        return (
            f" {left_out} of the {len(results)} servers had no trial: compare fewer --strategies, "
            "or give more --seconds."
        )
    if others_percent > BUSY:
        what = f"Other programs used {others_percent:.0f} % of the CPU"
    elif _rate(taken).is_vague:
        what = f"Its trials differ by ±{100 * _rate(taken).margin / _rate(taken).value:.0f} %"
    else:
        return ""
    return f" {what}: measure again on a quiet machine."


def _same_strategy(taken: CandidateResult, served: Results) -> Results:
    return [r for r in served if r.candidate.strategy == taken.candidate.strategy]


def _times(ratio: float) -> str:
    return "twice" if 1.95 <= ratio < 2.05 else f"{ratio:.1f} times"
