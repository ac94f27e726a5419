"""Runs test files for `tools/run_tests.py`, which starts several of these processes.

It reads the name of a file on each line of its standard input, runs the file, and writes the
results to a descriptor: a line of JSON for each test, and one at the end of the file. It starts no
thread, because a pool behaves differently in a process with threads.
"""

import json
import os
import sys
import time
from typing import Any

import pytest


class Reporter:
    """A plugin of pytest that reports the result of each test."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.say("error", test=report.nodeid, text=str(report.longrepr))
        elif report.skipped:
            self.say("skipped", test=report.nodeid, text=_reason(report))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            sections = [f"--- {title} ---\n{text}" for title, text in report.sections]
            text = "\n".join([report.longreprtext, *sections])
            kind = "failed" if report.when == "call" else "error"
            self.say(kind, test=report.nodeid, text=text)
        elif report.skipped:
            self.say("skipped", test=report.nodeid, text=_reason(report))
        elif report.when == "call":
            self.say("passed", test=report.nodeid)
        self.say("lasted", test=report.nodeid, seconds=report.duration)

    def say(self, kind: str, **details: Any) -> None:
        line = json.dumps({"kind": kind, **details}) + "\n"
        data = line.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]


def _reason(report: pytest.CollectReport | pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)


def main() -> None:
    reporter = Reporter(int(sys.argv[1]))
    os.set_inheritable(int(sys.argv[1]), False)
    options = sys.argv[2:]
    while file := sys.stdin.readline().strip():
        began, used = time.monotonic(), sum(os.times()[:4])
        pytest.main([file, "--quiet", *options], plugins=[reporter])
        seconds = time.monotonic() - began
        reporter.say("done", file=file, seconds=seconds, cpu=sum(os.times()[:4]) - used)


if __name__ == "__main__":
    main()
