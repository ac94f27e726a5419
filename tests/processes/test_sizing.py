"""Pools that grow and shrink with the load, with real workers."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefork import PreforkUDPServer, PreforkUnixStreamServer, Settings
from prefork.master import sizer as sizing
from prefork.policies.sizing import POLICIES, load, ondemand, spare
from prefork.policies.sizing.base import Decision, LoadSample, Sizing
from prefork.policies.sizing.steps import Shrinking
from prefork.readings.cpu import CpuMeter
from prefork.workers.protocol.scoreboard import State
from tests.support import groups
from tests.support.announcements import Gate, Told
from tests.support.clients import ask, datagram_socket
from tests.support.deadlines import HANG, stretched, within
from tests.support.load import ClientLoad
from tests.support.polling import eventually
from tests.support.pools import (
    PERSISTENT,
    Handler,
    Threaded,
    answer,
    answer_pid,
    messages,
    pool_of,
    served,
    states,
    waiting_clients,
)
from tests.support.serving import start_serving

LOOK = 0.02


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies look often, and see a machine with CPU to spare, whatever else runs on it."""
    for module in (load, ondemand):
        monkeypatch.setattr(module, "LOOK_INTERVAL", LOOK)
        monkeypatch.setattr(module, "REST_INTERVAL", LOOK)
    monkeypatch.setattr(spare.Spare, "interval", LOOK)
    monkeypatch.setattr(CpuMeter, "left", lambda self: 1.0)


def pool_by(name: str, handler: Any = answer_pid, *, workers: int = 4, **more: Any) -> Any:
    """A pool with the sizing *name* and at most *workers* workers; *more* as for `pool_of()`."""
    settings = {"sizing": name, "idle_timeout": 0.2, **more.pop("settings", {})}
    return pool_of(handler, workers=workers, settings=settings, **more)


def size_becomes(server: Any, size: int) -> None:
    eventually(lambda: len(states(server)) == size, what=f"{size} workers ({states(server)} now)")


@pytest.mark.usefixtures("soon", "errors")
@pytest.mark.parametrize("strategy", PERSISTENT)
@pytest.mark.parametrize(("name", "least"), [("load", 1), ("ondemand", 0), ("spare", 2)])
def test_a_pool_grows_when_clients_wait_and_shrinks_when_they_are_gone(
    name: str, least: int, strategy: str, running: Any, held: Handler, gate: Gate
) -> None:
    most = 0

    def count(self: Any) -> None:
        nonlocal most
        most = max(most, len(self.active_children or ()))  # `None` before the first worker

    server = pool_by(
        name, held, strategy=strategy, service_actions=count, settings={"max_spare": 2}
    )
    with running(server):
        size_becomes(server, min(least, 1))
        with waiting_clients(server.server_address, 6) as clients:
            size_becomes(server, 4)
            gate.open()
            assert [answer(client) for client in clients] == served(6)
        size_becomes(server, least)
    assert most == 4


class UpAndDown(Sizing):
    """From one to four workers and back, whatever the load."""

    interval = LOOK

    def _decide(self, load: LoadSample) -> Decision:
        if load.persistent != self.wanted or load.starting:
            return self._stay()
        return Decision(5 - self.wanted, "it is time")


@pytest.mark.slow
@pytest.mark.usefixtures("errors")
@pytest.mark.parametrize("strategy", PERSISTENT)
def test_twenty_changes_of_size_under_load_lose_no_client_and_disturb_no_busy_worker(
    strategy: str, running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = Shrinking.choose
    seen: list[State] = []

    def watched(self: Shrinking, readings: Any, *what: Any) -> list[int]:
        known = dict(readings)
        chosen = choose(self, known.items(), *what)
        seen.extend(known[slot].state for slot in chosen)
        return chosen

    def handler(request: Any, client_address: Any, server: Any) -> None:
        request.sendall(request.recv(10) and b"served")

    monkeypatch.setitem(POLICIES, "spare", UpAndDown)
    monkeypatch.setattr(Shrinking, "choose", watched)
    changed = threading.Semaphore(0)
    most = 0

    def count(self: Any) -> None:
        nonlocal most
        most = max(most, len(self.active_children))
        if len(seen) >= 3 * 10:
            changed.release()

    server = pool_by("spare", handler, strategy=strategy, service_actions=count)
    with running(server):
        clients = ClientLoad(server.server_address)
        with clients.running():
            assert changed.acquire(timeout=stretched(HANG)), (
                f"only {len(seen)} workers were retired"
            )
            clients.wait_for_answers(20)
    assert not clients.broken
    assert not clients.refused
    assert set(seen) == {State.IDLE}
    assert most == 4


def empty_pool(kind: str, folder: Path) -> tuple[Any, Callable[[], bytes]]:
    """A pool with `ondemand`, and a function that asks it for the pid of a worker."""
    unix = str(folder / "s")
    if kind == "unix":
        server = pool_by("ondemand", base=PreforkUnixStreamServer, address=unix)
    elif kind == "udp":

        def reply(request: Any, client_address: Any, server: Any) -> None:
            request[1].sendto(b"%d" % os.getpid(), client_address)

        server = pool_by("ondemand", reply, base=PreforkUDPServer)
        return server, lambda: datagram(server.server_address)
    else:
        server = pool_by("ondemand", strategy=kind)
    return server, lambda: ask(server.server_address)


def datagram(address: Any) -> bytes:
    with datagram_socket(address) as client:
        client.sendto(b"x", address)
        return client.recv(100)


@pytest.mark.parametrize("kind", [*PERSISTENT, "unix", "udp"])
def test_the_first_client_of_an_empty_pool_is_served_at_once(
    kind: str, running: Any, tmp_path: Path
) -> None:
    """The loop has no poll interval and no policy is due to look: the client wakes the master."""
    server, ask_for_pid = empty_pool(kind, tmp_path)
    with running(server, poll_interval=None):
        for _ in range(2):
            size_becomes(server, 0)
            assert int(ask_for_pid()) > 0
            assert len(states(server)) == 1


def test_the_first_client_of_any_member_of_an_empty_group_is_served(
    running: Any, short_path: Path
) -> None:
    kinds = ["tcp", "udp", "unix", "unixgram"]
    members = [groups.member(kind, short_path, lambda data: data) for kind in kinds]
    group = groups.group_of(*members, workers=2)
    group.prefork_settings = Settings(sizing="ondemand", idle_timeout=0.05)
    with running(group, poll_interval=None):
        for member in members:
            size_becomes(group, 0)
            assert groups.ask(member, b"x") == b"x"


@pytest.mark.parametrize("strategy", PERSISTENT)
def test_clients_that_come_after_the_loop_are_served_although_there_is_no_worker(
    strategy: str,
) -> None:
    server = pool_by("ondemand", strategy=strategy)
    start_serving(server).shut_down()
    with waiting_clients(server.server_address, 2) as clients:
        within(server.server_close)
        assert all(int(answer(client)) > 0 for client in clients)


@pytest.mark.usefixtures("soon")
def test_no_more_workers_are_started_than_fit_into_memory_and_the_log_says_so(
    running: Any,
    held: Handler,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = pool_by("load", held, workers=8)
    monkeypatch.setattr(sizing, "GROWN_AFTER", 0.0)
    monkeypatch.setattr(sizing, "pss", lambda pid: 1_000)
    monkeypatch.setattr(sizing, "memory_left", lambda: 3_500 - 1_000 * len(server.active_children))

    def warnings() -> list[str]:
        return messages(caplog.records, logging.WARNING)

    with running(server), waiting_clients(server.server_address, 6) as clients:
        (warning,) = eventually(warnings, what="a warning")
        assert warning.startswith("Staying at 3 workers: no more workers fit into memory")
        assert len(states(server)) == 3
        gate.open()
        assert [answer(client) for client in clients] == served(6)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("strategy", ["accept", "handoff"])
def test_workers_with_threads_are_started_until_all_clients_are_served(
    strategy: str, running: Any, held: Handler, told: Told, gate: Gate
) -> None:
    settings = {"threads": 2, "min_children": 1}
    server = pool_by("ondemand", held, base=Threaded, strategy=strategy, settings=settings)
    with running(server), waiting_clients(server.server_address, 6) as clients:
        for _ in range(6):
            told.wait_for(b"entered")
        assert len(states(server)) >= 3
        gate.open()
        assert sorted(answer(client) for client in clients) == served(6)


@pytest.mark.usefixtures("soon", "no_pauses")
@pytest.mark.parametrize("fork_from", ["master", "mold"])
def test_a_sized_pool_forks_its_workers_as_fork_from_says(fork_from: str, running: Any) -> None:
    settings = {"fork_from": fork_from, "refork_after": 2, "min_children": 1}
    server = pool_by("ondemand", settings=settings)

    def generations() -> set[int]:
        return {worker.generation for worker in server.prefork_status()}

    with running(server):
        for _ in range(10):
            assert int(ask(server.server_address)) > 0
        if fork_from == "mold":
            eventually(lambda: generations() > {0} or min(generations()) > 0)
        size_becomes(server, 1)
