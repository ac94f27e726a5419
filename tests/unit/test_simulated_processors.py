"""Which process runs on which core, and when it finishes."""

from __future__ import annotations

from math import inf
from random import Random
from typing import Any

import pytest

from prefork.simulation.processors import NO_PROCESS, TICK, Processors


def cores(count: float, slice_: float = 0.001) -> Processors:
    return Processors(count, slice_, Random(1))


def ends(processors: Processors) -> list[Any]:
    """The processes in the order in which they finish, with the times, if no more are added."""
    found = []
    while processors.next_event < inf:
        now = processors.next_event
        if (process := processors.done()) != NO_PROCESS:
            found.append((process, pytest.approx(now)))
        processors.release()
    return found


def busy(processors: Processors, seconds: float) -> float:
    """Use both cores until the machine counts as busy; return the time at the end."""
    for process in (100, 101):
        processors.add(process, seconds, 0.0)
    assert len(ends(processors)) == 2
    return seconds


def test_each_process_has_its_own_core_while_there_are_enough() -> None:
    two = cores(2)
    two.add(0, 0.010, 0.0)
    two.add(1, 0.005, 0.002)
    assert ends(two) == [(1, 0.007), (0, 0.010)]
    assert two.used(1.0) == pytest.approx(0.015)


def test_processes_take_turns_on_one_core() -> None:
    one = cores(1, slice_=0.004)
    one.add(0, 0.010, 0.0)
    one.add(1, 0.003, 0.001)
    assert ends(one) == [(1, 0.007), (0, 0.013)]


def test_a_fractional_core_is_slower() -> None:
    slow = cores(1.5)
    slow.add(0, 0.003, 0.0)
    assert ends(slow) == [(0, 0.004)]
    assert slow.used(1.0) == pytest.approx(0.003)


def test_a_process_with_more_work_continues_its_slice() -> None:
    one = cores(1, slice_=0.004)
    one.add(0, 0.002, 0.0)
    one.add(1, 0.003, 0.001)
    assert one.done() == 0
    one.add(0, 0.001, 0.002)
    one.release()
    assert ends(one) == [(0, 0.003), (1, 0.006)]


def test_a_process_whose_core_is_taken_moves_to_an_idle_one_while_most_are_idle() -> None:
    two = cores(2)
    two.add(0, 0.010, 0.0)
    two.add(2, 0.010, 0.0)  # its home core is that of process 0
    assert ends(two) == [(0, 0.010), (2, 0.010)]


def test_on_a_busy_machine_a_process_waits_for_its_core_until_an_idle_one_takes_it() -> None:
    two = cores(2, slice_=1.0)
    now = busy(two, 0.1)
    two.add(0, 0.010, now)
    two.add(2, 0.010, now)
    assert ends(two) == [(0, now + 0.010), (2, now + TICK + 0.010)]


def test_a_process_woken_by_a_packet_moves_to_any_idle_core_at_once() -> None:
    two = cores(2, slice_=1.0)
    now = busy(two, 0.1)
    two.add(0, 0.010, now)
    two.add(2, 0.010, now, anywhere=True)
    assert ends(two) == [(0, now + 0.010), (2, now + 0.010)]


def test_a_process_woken_by_a_packet_may_run_on_the_core_of_its_sender() -> None:
    two = cores(2, slice_=1.0)
    two.add(0, 0.010, 0.0)
    two.add(1, 0.001, 0.0)
    assert two.done() == 1
    two.add(2, 0.003, 0.001, anywhere=True)
    two.release()
    assert ends(two) == [(2, 0.004), (0, 0.010)]
