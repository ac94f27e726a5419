"""Sizing policies, as tables of looks and wanted workers; the clock is an argument."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from prefork.policies.sizing import POLICIES
from prefork.policies.sizing.base import LoadSample, Sizing
from prefork.policies.sizing.history import GAP, Average, Episodes, Peak
from prefork.policies.sizing.steps import SURPLUS_PATIENCE, Shrinking
from prefork.settings import Limits, Settings, SettingsError
from prefork.workers.protocol.scoreboard import Reading, State

CORES = 4


class Look(NamedTuple):
    """The load of a pool that has as many workers as were wanted at the last look."""

    busy: int = 0
    waiting: int = 0
    cpu_left: float | None = 1.0
    memory_room: int | None = None
    starting: int = 0
    seconds: float = 0.25
    """Seconds since the previous look."""


class Pool:
    """A policy, and a pool that always has the wanted size."""

    def __init__(self, sizing: str, **limits: Any) -> None:
        self.policy: Sizing = POLICIES[sizing](Limits(**{"least": 1, "most": 8, **limits}))
        self.reasons: list[str] = []
        self._now = 100.0

    def see(self, look: Look, times: int = 1) -> int:
        """Let the policy look `times` times; return the number of workers that it wants then."""
        for _ in range(times):
            self._now += look.seconds
            persistent = self.policy.wanted
            ready = persistent - look.starting
            busy = min(look.busy, ready)
            load = LoadSample(
                now=self._now,
                persistent=persistent,
                starting=look.starting,
                busy=busy,
                busy_share=busy / ready if ready else 0.0,
                waiting=look.waiting,
                cpu_left=look.cpu_left,
                memory_room=look.memory_room,
                cores=CORES,
            )
            decision = self.policy.decide(load)
            assert decision.reason or decision.wanted == persistent, "a change without a reason"
            if decision.reason:
                self.reasons.append(decision.reason)
        return self.policy.wanted

    def clients(self, count: int, looks: int, **seen: Any) -> list[int]:
        """Let `count` clients repeat requests; return the wanted number of workers at each look."""
        wanted = []
        for _ in range(looks):
            busy = min(count, self.policy.wanted)
            wanted.append(self.see(Look(busy, count - busy, **seen)))
        return wanted


@pytest.mark.parametrize(
    ("limits", "clients", "wanted"),
    [
        # Growth doubles until there are enough idle workers.
        ({}, [8] * 5, [2, 4, 8, 8, 8]),
        ({}, [1, 1, 2, 2], [2, 2, 3, 3]),
        ({"min_spare": 3, "max_spare": 5}, [0, 2, 2, 2, 2], [3, 4, 5, 5, 5]),
        # After there were enough, it starts again with one.
        ({"most": 20}, [4, 4, 4, 0, 9, 9], [2, 4, 5, 4, 5, 7]),
        # One worker leaves at each look, but not below the minimum nor below max_spare idle.
        (
            {"min_spare": 8, "max_spare": 8, "most": 20},
            [6, 6, 6, 6, 0, 0, 0],
            [9, 11, 14, 14, 13, 12, 11],
        ),
        ({"least": 6}, [0, 0], [6, 6]),
        ({"least": 5, "max_spare": 1}, [8, 8, 8, 0, 0, 0, 0], [6, 8, 8, 7, 6, 5, 5]),
    ],
)
def test_spare_keeps_some_workers_idle(
    limits: dict[str, int], clients: list[int], wanted: list[int]
) -> None:
    pool = Pool("spare", **limits)
    assert [pool.clients(count, 1, seconds=1.0)[0] for count in clients] == wanted


def test_spare_counts_starting_workers_as_idle() -> None:
    """A slow start is not a reason for more workers."""
    pool = Pool("spare", least=3)
    assert pool.see(Look(busy=2, starting=1)) == 3
    assert pool.see(Look(busy=3)) == 4


@pytest.mark.parametrize(
    ("limits", "clients", "wanted"),
    [
        ({"least": 0}, [0, 1, 1, 3, 9], [0, 1, 1, 3, 8]),
        ({"least": 2}, [0, 1, 2, 3], [2, 2, 2, 3]),
        ({"least": 0, "idle_timeout": 1.0}, [3, 3, 1, 1, 1, 1, 1, 1], [3, 3, 3, 3, 3, 3, 1, 1]),
        ({"least": 0, "idle_timeout": 1.0}, [2, 0, 0, 0, 0, 0], [2, 2, 2, 2, 2, 0]),
        ({"least": 0, "idle_timeout": 0.1}, [2, 0, 2, 0], [2, 0, 2, 0]),
    ],
)
def test_ondemand_has_one_worker_for_each_client_until_the_idle_timeout(
    limits: dict[str, Any], clients: list[int], wanted: list[int]
) -> None:
    pool = Pool("ondemand", **limits)
    assert [pool.clients(count, 1)[0] for count in clients] == wanted


def test_ondemand_needs_no_look_while_the_pool_is_empty() -> None:
    pool = Pool("ondemand", least=0, idle_timeout=0.1)
    assert pool.policy.at_once
    pool.see(Look())
    assert pool.policy.interval is None
    pool.see(Look(waiting=1))
    assert pool.policy.interval == 0.25


def test_ondemand_keeps_a_worker_whose_requests_are_too_short_to_be_seen() -> None:
    """No look finds the worker busy; the scoreboard shows that it was."""
    policy = POLICIES["ondemand"](Limits(0, 8, idle_timeout=1.0))
    idle_pool = LoadSample(0.0, 0, 0, 0, 0.0, 0, None, None, CORES)
    policy.decide(idle_pool._replace(waiting=1))
    for look in range(1, 40):
        short = idle_pool._replace(now=look / 4, persistent=1, busy_share=0.001)
        assert policy.decide(short).wanted == 1


BUSY = Look(busy=8)
WAITING = Look(busy=8, waiting=3)
SATURATED = WAITING._replace(cpu_left=0.02)


@pytest.mark.parametrize(
    ("looks", "wanted"),
    [
        # All are busy and clients wait: 1, 2, 4, ... more.
        ([Look(8, 7)] * 4, [2, 4, 8, 8]),
        # No client waits, but all workers have been busy for some time.
        ([BUSY] * 9, [2, 2, 2, 2, 3, 3, 3, 3, 4]),
        # A client waits by chance.
        (
            [Look(8, 7)] * 2 + [Look(3), Look(3, 1), Look(3), Look(3, 1), Look(3)],
            [2, 4, 4, 4, 4, 4, 4],
        ),
        ([Look(8, 7)] * 2 + [Look(3), Look(4, 1), Look(4, 1)], [2, 4, 4, 4, 5]),
        # Enough for the load, with some idle time.
        ([Look(3, 1)] * 2 + [Look(3)] * 20, [2, 4] + [4] * 20),
        # More workers than cores + 1 need idle CPU: as much as each present worker uses.
        ([Look(8, 7, cpu_left=0.3)] * 6, [2, 4, 5, 7, 8, 8]),
        ([SATURATED] * 6, [2, 4, 5, 5, 5, 5]),
        ([SATURATED] * 4 + [WAITING] * 3, [2, 4, 5, 5, 6, 8, 8]),
        ([WAITING._replace(cpu_left=None)] * 5, [2, 4, 8, 8, 8]),
        # A little idle CPU for a moment is not enough.
        ([SATURATED] * 8 + [WAITING._replace(cpu_left=0.3)] + [SATURATED] * 3, [2, 4] + [5] * 10),
        # Memory is the limit.
        (
            [Look(8, 7, memory_room=2), Look(8, 7, memory_room=1), Look(8, 7, memory_room=0)],
            [2, 3, 3],
        ),
        ([Look(8, 7, memory_room=0)] * 3, [1, 1, 1]),
        # The workers wanted at the last look have not started yet.
        ([Look(8, 7), Look(8, 7, starting=1), Look(8, 7, starting=1), Look(8, 7)], [2, 2, 2, 4]),
    ],
)
def test_load_adds_workers_that_help(looks: list[Look], wanted: list[int]) -> None:
    pool = Pool("load")
    assert [pool.see(look) for look in looks] == wanted


def test_load_gives_up_workers_that_were_not_needed_for_the_idle_timeout() -> None:
    pool = Pool("load", idle_timeout=3.0)
    pool.clients(8, 12)
    assert pool.see(Look(), times=11) == 8
    assert pool.see(Look(), times=2) == 1
    assert pool.reasons[-1] == "no more were needed for 3 s"


def test_load_keeps_workers_for_longer_if_they_were_needed_again_too_soon() -> None:
    pool = Pool("load", idle_timeout=1.0)
    kept = []
    for _ in range(6):
        pool.clients(8, 12)
        looks = 1
        while pool.see(Look()) > 1:
            looks += 1
        kept.append(looks / 4)
    assert kept == pytest.approx([1, 2, 4, 8, 8, 8], abs=0.3)
    pool.see(Look(), times=40)  # after a long pause, giving them up was right
    pool.clients(8, 12)
    assert pool.see(Look(), times=6) == 1


def test_load_leaves_small_differences_alone() -> None:
    pool = Pool("load", idle_timeout=1.0)
    pool.clients(8, 12)
    assert pool.see(Look(busy=5), times=100) == 8
    assert pool.see(Look(busy=3), times=100) == 4


def test_load_looks_less_often_while_no_worker_is_busy() -> None:
    pool = Pool("load")
    pool.see(Look())
    assert pool.policy.interval == 0.5
    pool.see(Look(busy=1))
    assert pool.policy.interval == 0.25


@pytest.mark.parametrize(
    ("sizing", "look", "reason"),
    [
        ("spare", WAITING, "max_children is reached, 3 clients wait"),
        ("ondemand", WAITING, "max_children is reached, 3 clients wait"),
        ("load", WAITING, "max_children is reached, 3 clients wait"),
        (
            "load",
            SATURATED,
            "the CPU is saturated, 2 % of the CPU is idle, all are busy, 3 clients wait",
        ),
        (
            "load",
            WAITING._replace(memory_room=0),
            "no more workers fit into memory, all are busy, 3 clients wait",
        ),
    ],
)
def test_the_reason_for_no_more_workers_is_given_once_in_an_episode(
    sizing: str, look: Look, reason: str
) -> None:
    pool = Pool(sizing, idle_timeout=1000.0)

    def how_often(look: Look, seconds: float) -> int:
        before = len(pool.reasons)
        pool.see(look, times=int(4 * seconds))
        return pool.reasons[before:].count(reason)

    assert how_often(look, 20.0) == 1
    assert how_often(Look(), GAP / 2) == how_often(look, 20.0) == 0
    assert how_often(Look(), GAP + 1) == 0
    assert how_often(look, 20.0) == 1


def test_max_children_is_not_mentioned_while_no_client_waits() -> None:
    for sizing in POLICIES:
        pool = Pool(sizing)
        pool.see(BUSY, times=40)
        assert not [reason for reason in pool.reasons if "max_children" in reason]


def test_the_reason_of_a_decision_has_the_load_sample() -> None:
    pool = Pool("load")
    pool.see(Look(1, 7, cpu_left=0.714))
    pool.see(Look(1, 1, cpu_left=None), times=9)
    assert pool.reasons[:2] == [
        "all are busy, 7 clients wait, 71 % of the CPU is idle",
        "workers are busy 50 % of the time, 1 client waits",
    ]


@pytest.mark.parametrize("sizing", POLICIES)
def test_changed_limits_apply_at_the_next_look(sizing: str) -> None:
    pool = Pool(sizing, idle_timeout=1000.0)
    pool.clients(8, 40, seconds=1.0)
    assert pool.policy.wanted == 8
    pool.policy.limits = pool.policy.limits._replace(most=3)
    assert pool.see(WAITING) == 3
    pool.policy.limits = pool.policy.limits._replace(least=5, most=8)
    assert pool.see(Look(busy=5)) >= 5


def reading(state: State, since: float) -> Reading:
    return Reading(state, since, "", "", 0, 0.0, 0)


@pytest.mark.parametrize(
    ("surplus", "forbidden", "at_once", "later"),
    [
        (0, 0, [], []),
        (1, 0, [2], [2]),
        (4, 0, [2, 1], [2, 1]),  # a policy never retires a busy worker
        (4, 1, [2, 1], [2, 1]),
        (4, 3, [2, 1], [2, 1, 3]),  # max_children was lowered
        (4, 4, [2, 1], [2, 1, 3, 0]),
    ],
)
def test_busy_workers_leave_only_if_max_children_was_lowered(
    surplus: int, forbidden: int, at_once: list[int], later: list[int]
) -> None:
    workers = [(State.BUSY, 1.0), (State.IDLE, 5.0), (State.IDLE, 3.0), (State.BUSY, 9.0)]
    readings = [(slot, reading(*worker)) for slot, worker in enumerate(workers)]
    shrinking = Shrinking()
    assert shrinking.choose(readings, surplus, forbidden, 50.0) == at_once
    after = 50.0 + SURPLUS_PATIENCE
    assert shrinking.choose(readings, surplus, forbidden, after) == later
    assert (shrinking.next_timeout() is not None) == bool(forbidden)


def test_a_peak_is_forgotten_after_its_time_and_an_average_follows() -> None:
    peak, average = Peak(), Average(1.0)
    for now, number, highest in [(0, 3, 3), (1, 7, 7), (2, 5, 7), (3, 1, 7), (4, 1, 5), (6, 0, 1)]:
        peak.note(now, number)
        assert peak.of_last(2.0, now) == highest
    assert average.note(0.0, 4.0) == 4.0
    assert average.note(1.0, 0.0) == pytest.approx(4.0 / 2.718, rel=0.01)
    assert average.note(9.0, 2.0) == pytest.approx(2.0, rel=0.01)


def test_an_episode_continues_over_a_short_gap() -> None:
    episodes = Episodes()
    moments = [0.0, 1.0, GAP, 2 * GAP, 3 * GAP + 1]
    assert [episodes.is_news("it", now) for now in moments] == [True, False, False, False, True]
    assert episodes.is_news("another", GAP)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"strategy": "fork", "sizing": "load"},
            "with strategy 'fork' each request has its own worker",
        ),
        ({"sizing": "spare", "min_spare": 5}, r"min_spare \(5\) is greater than max_spare \(4\)"),
        ({"sizing": "spare", "min_children": 0}, "use 1, or sizing 'ondemand'"),
        ({"sizing": "load", "min_children": 0}, "use 1, or sizing 'ondemand'"),
        (
            {"sizing": "load", "min_children": 9},
            r"min_children \(9\) is greater than max_children \(8\)",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings(**settings).check_least(8)


@pytest.mark.parametrize(
    ("settings", "least"),
    [
        ({"sizing": "load"}, 1),
        ({"sizing": "spare"}, 1),
        ({"sizing": "ondemand"}, 0),
        ({"sizing": "ondemand", "min_children": 2}, 2),
        ({"sizing": "load", "min_children": 9}, 8),  # max_children was lowered
    ],
)
def test_the_least_number_of_workers_is_one_or_zero_by_default(
    settings: dict[str, Any], least: int
) -> None:
    assert Settings(**settings).limits(8)[:2] == (least, 8)
