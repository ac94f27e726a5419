"""Each request takes the next item of a script, whichever worker serves it."""

import shutil

import pytest

pytest.importorskip("hdrh", reason="the benchmarks' libraries are not installed")

from benchmarks.harness.load_generator import ECHO, generate
from benchmarks.harness.script import scripted
from benchmarks.servers.scripted_server import WorkItem
from tests.support.deadlines import EXCHANGE, stretched

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler cc")


def test_each_request_takes_the_next_item_and_records_its_times() -> None:
    with scripted("scripted", workers=2) as script:
        for waits in ([0.0] * 9, [0.01, 0.02, 0.03, 0.04]):
            script.write([WorkItem(0, 0, wait) for wait in [*waits, 0.0]])
            report = generate(
                ECHO,
                script.server.port,
                clients=2,
                seconds=stretched(EXCHANGE),
                requests=len(waits),
            )
            assert (report.requests, report.errors) == (len(waits), 0)
            recorded = sorted(record.wait for record in script.records())
            # The CPU time of the sleeping call does not count as waiting.
            pairs = zip(recorded, waits, strict=True)
            assert all(took > 0.9 * wait - 0.001 for took, wait in pairs)
