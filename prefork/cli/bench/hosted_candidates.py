"""The candidates' servers as the command sees them: started together, loaded in turn."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prefork.cli.bench.candidates import Candidate, CandidateResult
from prefork.cli.bench.server_process import BenchJob
from prefork.loadtest.hosted_server import HostedServer
from prefork.loadtest.hosting import Announcement, lines_of
from prefork.loadtest.processes import child
from prefork.loadtest.trials import Summary, Trial

SERVERS = "prefork.cli.bench.server_process"


@dataclass
class HostedCandidate(HostedServer):
    """The server of one candidate, and its trials so far."""

    candidate: Candidate = field(kw_only=True)
    trials: list[Trial] = field(default_factory=list)

    @property
    def result(self) -> CandidateResult:
        return CandidateResult(self.candidate, Summary.of(self.trials))


@contextlib.contextmanager
def hosted(job: BenchJob) -> Iterator[list[HostedCandidate]]:
    """Yield all servers, in the order of the candidates: bound, and idle until they are loaded.

    Errors: `StartRefused`, `ChildFailed`.
    """
    with child(SERVERS, job.line()) as servers:
        lines = lines_of(servers, "The servers did not start.")
        announced = [Announcement.of(next(lines)) for _ in job.candidates]
        yield [
            HostedCandidate(
                job.candidates[one.place].title,
                one.pid,
                one.socket_address,
                Path(one.log),
                candidate=job.candidates[one.place],
            )
            for one in sorted(announced, key=lambda one: one.place)
            if one.pid
        ]
