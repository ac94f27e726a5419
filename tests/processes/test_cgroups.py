"""Limits of a real cgroup as the kernel shows them; skipped where this user cannot make one."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefork.readings.cgroups import folders
from prefork.readings.cores import cgroup_quota
from prefork.readings.memory import memory_left
from tests.support.announcements import Told
from tests.support.children import child_running

MB = 2**20
LIMIT = 64 * MB
TAKEN = 20 * MB


@contextlib.contextmanager
def cgroup(controller: str, limits: dict[str, str]) -> Iterator[Path]:
    """A cgroup below our own, with those of the limits that this cgroup version has."""
    with contextlib.ExitStack() as stack:
        try:
            folder = folders(controller)[0] / f"prefork-test-{os.getpid()}"
            folder.mkdir()
            stack.callback(folder.rmdir)
            known = limits.keys() & set(os.listdir(folder))
            for name in known:
                (folder / name).write_text(limits[name])
        except (OSError, IndexError) as error:
            pytest.skip(f"cannot make a cgroup: {error}")
        if not known:
            pytest.skip(f"the controller {controller} is not delegated to child cgroups")
        yield folder


def enter(folder: Path) -> None:
    (folder / "cgroup.procs").write_text(str(os.getpid()))


def test_memory_left_follows_from_the_limit_and_the_usage_of_the_cgroup(told: Told) -> None:
    def body() -> None:
        enter(folder)
        before = memory_left() or 0
        taken = b"x" * TAKEN
        told.say("read", before, before - (memory_left() or 0))
        assert len(taken) == TAKEN

    limits = {"memory.limit_in_bytes": str(LIMIT), "memory.max": str(LIMIT)}
    with cgroup("memory", limits) as folder, child_running(body):
        left, used = map(int, told.wait_for(b"read").split())
    assert LIMIT // 2 < left <= LIMIT
    assert 0.9 * TAKEN < used < 1.2 * TAKEN


def test_the_cpu_quota_of_the_cgroup_is_read(told: Told) -> None:
    def body() -> None:
        enter(folder)
        told.say("read", str(cgroup_quota()))

    limits = {"cpu.cfs_quota_us": "50000", "cpu.max": "50000 100000"}
    with cgroup("cpu", limits) as folder, child_running(body):
        assert told.wait_for(b"read") == b"0.5"
