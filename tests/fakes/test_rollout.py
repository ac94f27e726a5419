"""The rollout of a generation, on a worker table: nothing is forked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prefork.linux.syscalls import SYSTEM
from prefork.master.children import Children
from prefork.master.rollout import Rollout
from prefork.settings import Settings
from prefork.state.lifecycle import LifecycleError, WorkerEvent
from prefork.state.worker_table import WorkerRecord, WorkerTable
from tests.support.fake_system import FakeServer

WANTED = 3


class Pool:
    """A pool whose workers are ready as soon as they are forked."""

    def __init__(self) -> None:
        self.server = FakeServer()
        self.table = WorkerTable()
        self.children = Children(self.table, SYSTEM)
        self.rollout = Rollout(self.server, self.table, self.children)
        for _ in range(WANTED):
            self.fork()

    def fork(self, *, ready: bool = True) -> WorkerRecord:
        slot = self.table.free_slot()
        channel = None
        record = WorkerRecord(slot, 1000 + slot, channel, 0.0)  # type: ignore[arg-type]
        record.generation = self.rollout.generation
        self.table.add(record)
        if ready:
            self.table.note(record, WorkerEvent.READY)
        return record

    def retire(self) -> list[int]:
        """Retire the workers that the rollout selects; return their slots."""
        retired = self.rollout.tick(WANTED)
        for record in retired:
            self.table.note(record, WorkerEvent.RETIRED)
        return [record.slot for record in retired]

    def exits(self, slot: int) -> None:
        self.table.remove(self.table.by_slot(slot))

    def close(self) -> None:
        self.children.close()
        self.server.listener.close()


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


def test_without_a_new_generation_no_worker_is_retired(pool: Pool) -> None:
    assert pool.retire() == []
    assert pool.rollout.next_timeout(WANTED) is None
    assert not pool.rollout.is_rolling


def test_workers_are_replaced_one_by_one_until_all_are_of_the_new_generation(pool: Pool) -> None:
    pool.rollout.begin()
    replaced = 0
    while pool.rollout.is_rolling:
        assert pool.rollout.next_timeout(WANTED) == 0.0
        for slot in pool.retire():
            assert pool.retire() == []
            assert pool.rollout.next_timeout(WANTED) is None
            pool.exits(slot)
            pool.fork()
            replaced += 1
    assert replaced == WANTED
    assert {record.generation for record in pool.table} == {1}
    assert pool.rollout.next_timeout(WANTED) is None


def test_a_replacement_that_is_not_ready_is_considered_out(pool: Pool) -> None:
    pool.rollout.begin()
    (slot,) = pool.retire()
    pool.exits(slot)
    starting = pool.fork(ready=False)
    assert pool.retire() == []
    pool.table.note(starting, WorkerEvent.READY)
    assert len(pool.retire()) == 1


def test_as_many_are_out_at_once_as_the_settings_allow(pool: Pool) -> None:
    pool.server.set = Settings(max_unavailable=2)
    pool.rollout.begin()
    assert len(pool.retire()) == 2


def test_a_cancelled_rollout_leaves_the_older_workers(pool: Pool) -> None:
    pool.rollout.begin()
    (slot,) = pool.retire()
    pool.exits(slot)
    pool.rollout.call_off()
    pool.fork()
    assert pool.retire() == []
    assert sorted(record.generation for record in pool.table) == [0, 0, 1]


def test_the_next_generation_replaces_those_of_all_earlier_ones(pool: Pool) -> None:
    pool.rollout.begin()
    (slot,) = pool.retire()
    pool.exits(slot)
    pool.rollout.call_off()
    pool.fork()
    pool.rollout.begin()
    outdated = [record for record in pool.table if pool.rollout.is_outdated(record)]
    assert len(outdated) == WANTED


def test_a_generation_cannot_begin_while_another_one_is_rolled_out(pool: Pool) -> None:
    pool.rollout.begin()
    with pytest.raises(LifecycleError):
        pool.rollout.begin()
    assert pool.rollout.generation == 1
