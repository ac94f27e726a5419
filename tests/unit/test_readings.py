"""Readings of memory, processors and cgroups, from files in the kernel's format."""

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from prefork.readings.cgroups import folders
from prefork.readings.cores import cgroup_quota, usable_cores
from prefork.readings.cpu import cpu_times
from prefork.readings.memory import memory_left, pss
from prefork.state.snapshot import CoreTimes, CpuTimes, QuotaTimes, cpu_left

MB = 2**20
GB = 2**30
NO_V1_LIMIT = 9223372036854771712
Files = dict[str, str | int]


class Place(NamedTuple):
    """Where the hierarchies are mounted, and the file with this process's cgroups."""

    root: Path
    membership: Path


def cgroups(tmp_path: Path, membership: str, files: Files) -> Place:
    place = Place(tmp_path / "cgroup", tmp_path / "membership")
    place.membership.write_text(membership)
    place.root.mkdir()
    for name, text in files.items():
        (place.root / name).parent.mkdir(parents=True, exist_ok=True)
        (place.root / name).write_text(f"{text}\n")
    return place


@pytest.mark.parametrize(
    ("membership", "below", "found"),
    [
        ("0::/a/b\n", "", ["a/b", "a", "."]),
        ("0::/\n", "", ["."]),
        ("4:memory:/a\n0::/\n", "memory", ["memory/a", "memory"]),
        ("2:cpu,cpuacct:/\n4:memory:/a\n", "memory", ["memory/a", "memory"]),
        ("4:memory,hugetlb:/a\n", "memory", ["memory,hugetlb/a", "memory,hugetlb"]),
        ("1:name=systemd:/a\n0::/b\n", "unified", ["unified/b", "unified"]),
        ("1:name=systemd:/a:b\n", "", []),
        ("", "", []),
    ],
)
def test_the_cgroup_of_the_process_comes_first_then_those_above_it(
    tmp_path: Path, membership: str, below: str, found: list[str]
) -> None:
    place = cgroups(tmp_path, membership, {f"{below}/any": ""} if below else {})
    assert folders("memory", *place) == [place.root / name for name in found]


def test_without_proc_there_is_no_cgroup(tmp_path: Path) -> None:
    assert folders("memory", tmp_path, tmp_path / "none") == []


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"a/b/cpu.max": "max 100000"}, None),
        ({"a/b/cpu.max": "150000 100000"}, 1.5),
        ({"a/b/cpu.max": "400000 100000", "a/cpu.max": "50000 100000"}, 0.5),
        ({"a/b/cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_the_tightest_quota_at_or_above_the_process_applies(
    tmp_path: Path, files: Files, quota: float | None
) -> None:
    assert cgroup_quota(*cgroups(tmp_path, "0::/a/b\n", files)) == quota


def test_a_quota_of_cgroups_version_1_applies(tmp_path: Path) -> None:
    files: Files = {
        "cpu/a/cpu.cfs_quota_us": 250000,
        "cpu/a/cpu.cfs_period_us": 100000,
        "cpu/cpu.cfs_quota_us": -1,
        "cpu/cpu.cfs_period_us": 100000,
    }
    assert cgroup_quota(*cgroups(tmp_path, "2:cpu:/a\n0::/\n", files)) == 2.5


def test_half_a_core_is_one_worker_and_no_quota_leaves_the_affinity(tmp_path: Path) -> None:
    place = cgroups(tmp_path, "0::/a\n", {"a/cpu.max": "50000 100000"})
    assert usable_cores(*place) == 1
    assert usable_cores(tmp_path / "none", place.membership) >= 1


V2: Files = {
    "a/b/memory.max": "max",
    "a/b/memory.current": 300 * MB,
    "a/memory.max": 1000 * MB,
    "a/memory.current": 700 * MB,
    "a/memory.stat": f"anon {400 * MB}\nfile {300 * MB}\nactive_file {50 * MB}\n"
    f"inactive_file {150 * MB}",
}
V1: Files = {
    "memory/a/memory.limit_in_bytes": 800 * MB,
    "memory/a/memory.usage_in_bytes": 790 * MB,
    "memory/a/memory.stat": f"inactive_file {5 * MB}\nactive_file {5 * MB}\n"
    f"total_inactive_file {20 * MB}\ntotal_active_file {40 * MB}",
    "memory/memory.limit_in_bytes": NO_V1_LIMIT,
    "memory/memory.usage_in_bytes": 5000 * MB,
}


@pytest.mark.parametrize(
    ("membership", "files", "machine", "left"),
    [
        ("0::/a/b\n", V2, (4 * GB, 2 * GB), 500 * MB),
        ("0::/a/b\n", V2, (4 * GB, 100 * MB), 100 * MB),
        ("4:memory:/a\n0::/\n", V1, (4 * GB, 2 * GB), 70 * MB),
        ("4:memory:/elsewhere\n", V1, (4 * GB, 2 * GB), 2 * GB),
        ("0::/\n", {"memory.max": 100, "memory.current": 300}, (4 * GB, 2 * GB), 0),
        ("", {}, (4 * GB, 2 * GB), 2 * GB),
        ("", {}, None, None),
    ],
)
def test_the_tightest_memory_limit_applies_and_the_page_cache_is_considered_free(
    tmp_path: Path,
    membership: str,
    files: Files,
    machine: tuple[int, int] | None,
    left: int | None,
) -> None:
    place = cgroups(tmp_path, membership, files)
    meminfo = tmp_path / "meminfo"
    if machine is not None:
        total, available = (number // 1024 for number in machine)
        meminfo.write_text(
            f"MemTotal:    {total} kB\nMemFree:    1 kB\nMemAvailable:  {available} kB\n"
        )
    assert memory_left(*place, meminfo) == left


def test_the_memory_of_a_process_is_its_share_of_the_pages(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    rollup = tmp_path / "7" / "smaps_rollup"
    rollup.write_text("55d0-7ffe ---p [rollup]\nRss:  900 kB\nPss:   640 kB\nPss_Dirty:  3 kB\n")
    assert pss(7, tmp_path) == 640 * 1024
    assert pss(os.getpid()) > MB
    rollup.write_text("")  # a zombie
    with pytest.raises(ProcessLookupError):
        pss(7, tmp_path)
    with pytest.raises(FileNotFoundError):
        pss(8, tmp_path)


def times(
    now: float, idle: list[int], total: list[int], quota: QuotaTimes | None = None
) -> CpuTimes:
    cores = {core: CoreTimes(*both) for core, both in enumerate(zip(idle, total, strict=True))}
    return CpuTimes(now, cores, {"q": quota} if quota else {})


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        pytest.param(times(0, [0, 0], [0, 0]), times(1, [100, 50], [100, 100]), 0.75, id="idle"),
        pytest.param(times(0, [0], [0]), times(1, [0], [100]), 0.0, id="busy"),
        pytest.param(times(0, [0], [0]), times(1, [101], [100]), 1.0, id="never more than all"),
        pytest.param(times(0, [7], [9]), times(0.001, [7], [9]), None, id="no tick has passed"),
        pytest.param(times(0, [], []), times(1, [], []), None, id="nothing can be read"),
        pytest.param(
            times(0, [0, 0, 0, 0], [0, 0, 0, 0], QuotaTimes(2.0, 5.0)),
            times(10, [900, 900, 900, 900], [1000, 1000, 1000, 1000], QuotaTimes(2.0, 20.0)),
            0.25,
            id="a quota of two cores; one and a half are used",
        ),
        pytest.param(
            times(0, [0, 0], [0, 0], QuotaTimes(1.5, 0.0)),
            times(1, [10, 20], [100, 100], QuotaTimes(1.5, 0.1)),
            0.2,
            id="other programs leave less than the quota",
        ),
        pytest.param(
            times(0, [0, 0], [0, 0], QuotaTimes(1.0, 0.0, 10, 7)),
            times(0.25, [15, 15], [25, 25], QuotaTimes(1.0, 0.2, 12, 9)),
            0.0,
            id="a quota that is used up in both periods that have begun",
        ),
        pytest.param(
            times(0, [0, 0], [0, 0], QuotaTimes(1.0, 0.0, 10, 7)),
            times(1, [75, 75], [100, 100], QuotaTimes(1.0, 0.5, 20, 11)),
            0.3,
            id="a quota that is used up in four of ten periods",
        ),
    ],
)
def test_idle_cpu_follows_from_cores_and_quota(
    before: CpuTimes, after: CpuTimes, left: float | None
) -> None:
    found = cpu_left(before, after)
    assert found is None if left is None else found == pytest.approx(left)


STAT = "cpu  9 9 9 9 9 9 9 9 0 0\n{lines}intr 12345 0 0\nctxt 1\n"


@pytest.mark.parametrize(
    ("membership", "files", "quotas"),
    [
        (
            "0::/a\n",
            {
                "a/cpu.max": "150000 100000",
                "a/cpu.stat": "usage_usec 2500000\nnr_periods 9\nnr_throttled 3",
            },
            {"a": QuotaTimes(1.5, 2.5, 9, 3)},
        ),
        (
            "2:cpu,cpuacct:/a\n",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": 50000,
                "cpu,cpuacct/a/cpu.cfs_period_us": 100000,
                "cpu,cpuacct/a/cpu.stat": "nr_periods 8\nnr_throttled 2\nthrottled_time 5",
                "cpu,cpuacct/a/cpuacct.usage": 3_000_000_000,
            },
            {"cpu,cpuacct/a": QuotaTimes(0.5, 3.0, 8, 2)},
        ),
        (
            "1:cpu:/a\n2:cpuacct:/a\n",
            {
                "cpu/a/cpu.cfs_quota_us": 50000,
                "cpu/a/cpu.cfs_period_us": 100000,
                "cpuacct/a/cpuacct.usage": 4_000_000_000,
            },
            {"cpu/a": QuotaTimes(0.5, 4.0)},
        ),
        (
            "1:cpu:/a\n2:cpuacct:/b\n",  # the usage of that cgroup includes other processes
            {"cpu/a/cpu.cfs_quota_us": 50000, "cpu/a/cpu.cfs_period_us": 100000},
            {},
        ),
        ("0::/a\n", {"a/cpu.max": "max 100000", "a/cpu.stat": "usage_usec 1"}, {}),
    ],
)
def test_steal_is_used_time_and_iowait_is_idle_time_on_the_cores_of_the_process(
    tmp_path: Path, membership: str, files: Files, quotas: dict[str, QuotaTimes]
) -> None:
    place = cgroups(tmp_path, membership, files)
    stat = tmp_path / "stat"
    usable = os.sched_getaffinity(0)
    other = max(usable) + 1
    columns = "10 20 30 400 50 6 7 8 5 5"  # user nice system idle iowait irq softirq steal guest...
    lines = "".join(f"cpu{core} {columns}\n" for core in sorted(usable | {other}))
    stat.write_text(STAT.format(lines=lines))
    found = cpu_times(stat, *place, now=1.0)
    assert found.cores == dict.fromkeys(usable, CoreTimes(450, 531))
    assert found.quotas == {str(place.root / name): times for name, times in quotas.items()}
