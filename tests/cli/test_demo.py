"""`prefork demo`, made short."""

import re
import signal
from collections.abc import Callable

import pytest

from tests.cli.kit import Program
from tests.support.children import children_of, reap_orphans
from tests.support.deadlines import HANG, stretched

Start = Callable[..., Program]


@pytest.mark.slow
def test_the_demo_ends_with_a_table_a_chart_and_a_sentence(program: Start) -> None:
    demo = program("demo", "--seconds", stretched(1), "--cores", 2)
    assert demo.exit_code(HANG) == 0, demo.out + demo.err
    for words in ("Each request turns ", "ForkingTCPServer", "ThreadingTCPServer", "p99 ms", "█"):
        assert words in demo.out
    assert re.search(r"accept +1 .*\n +2 ", demo.out)
    assert re.search(r"Use accept with \d workers?: [\d.]+ requests/s", demo.out)
    assert demo.err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_demo_that_is_interrupted(program: Start, number: int) -> None:
    demo = program("demo", "--seconds", 30, "--cores", 1)
    demo.wait_for("Round 1 of", "out")
    started = children_of(demo.pid)
    demo.signal(number)
    assert demo.exit_code() == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGKILL:
        reap_orphans(*started)
    reap_orphans()  # a forking server is killed with a request in hand; its child exits by itself
    assert "Traceback" not in demo.err
