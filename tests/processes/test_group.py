"""A group of servers: one pool of workers serves several listeners, of all kinds."""

import functools
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from prefork import Settings
from tests.support.announcements import Gate, Told
from tests.support.deadlines import within
from tests.support.groups import (
    ask,
    clients,
    group_of,
    kind_of,
    kinds_for,
    member,
)
from tests.support.polling import eventually
from tests.support.pools import PERSISTENT, idle_workers, refuses
from tests.support.serving import start_serving


def answer_kind_and_pid(kind: str, data: bytes) -> bytes:
    return b"%b %d" % (kind.encode(), os.getpid())


def held(told: Told, gate: Gate, kind: str, data: bytes) -> bytes:
    """Announce "entered KIND PID", wait at the gate, announce "left", and echo the request."""
    told.say("entered", kind, os.getpid())
    gate.wait()
    told.say("left")
    return b"served " + data


def one_of_each(strategy: str, folder: Path, respond: Any) -> list[Any]:
    """A member of each kind, each with a handler that knows its kind."""
    return [member(kind, folder, functools.partial(respond, kind)) for kind in kinds_for(strategy)]


def group_of_each(strategy: str, folder: Path, respond: Any, **given: Any) -> Any:
    return group_of(*one_of_each(strategy, folder, respond), strategy=strategy, **given)


def workers_of(group: Any) -> set[int]:
    return {status.pid for status in group.prefork_status()}


def history(told: Told) -> list[bytes]:
    """All announcements so far, in order."""
    told.so_far()
    return told.history


def test_each_kind_is_served_by_its_own_handler_from_one_pool(
    strategy: str, short_path: Path, running: Any
) -> None:
    group = group_of_each(strategy, short_path, answer_kind_and_pid)
    pids = set()
    with running(group):
        for _ in range(5):
            for server in group.members:
                kind, _, pid = ask(server).partition(b" ")
                assert kind.decode() == kind_of(server)
                pids.add(pid)
    assert len(pids) <= 2 if strategy in PERSISTENT else len(pids) == 20


def test_workers_forked_ahead_serve_one_request_each_of_any_member(
    short_path: Path, running: Any
) -> None:
    group = group_of_each("fork", short_path, answer_kind_and_pid, workers=4, fork_ahead=2)
    kinds = [kind_of(server) for server in group.members]
    with running(group):
        answers = [ask(server) for _ in range(3) for server in group.members]
    assert [text.split()[0].decode() for text in answers] == kinds * 3
    assert len({text.split()[1] for text in answers}) == 12


def test_a_group_never_has_more_workers_than_max_children(
    strategy: str, short_path: Path, running: Any, told: Told, gate: Gate
) -> None:
    group = group_of_each(strategy, short_path, functools.partial(held, told, gate), workers=2)
    with running(group), clients(3, *group.members) as waiting:
        told.wait_for(b"entered")
        eventually(lambda: len(workers_of(group)) == 2, what="the second worker")
        gate.open()
        for client in waiting:
            assert client.answer().startswith(b"served")
            assert len(workers_of(group)) <= 2
    inside = 0
    for line in history(told):
        inside += {b"entered": 1, b"left": -1}[line.split()[0]]
        assert 0 <= inside <= 2


def test_a_flooded_member_does_not_delay_clients_of_the_others(
    strategy: str, short_path: Path, running: Any, told: Told, gate: Gate
) -> None:
    """One worker, 41 clients of one listener, and then one client of each other listener."""
    group = group_of_each(strategy, short_path, functools.partial(held, told, gate), workers=1)
    flooded, *others = group.members
    with running(group), clients(1, flooded) as first:
        told.wait_for(b"entered")
        with clients(40, flooded) as flood, clients(1, *others) as quiet:
            gate.open()
            for client in [*first, *quiet, *flood]:
                assert client.answer().startswith(b"served")
    lines = [line.split() for line in history(told)]
    order = [words[1].decode() for words in lines if words[0] == b"entered"]
    for server in others:
        assert order.index(kind_of(server)) <= 1 + len(group.members), order


def test_clients_that_wait_at_any_member_are_served_before_it_closes(
    strategy: str, short_path: Path, told: Told, gate: Gate
) -> None:
    group = group_of_each(strategy, short_path, functools.partial(held, told, gate), workers=1)
    addresses = [server.server_address for server in group.members if server.socket_type == 1]
    thread = start_serving(group)
    with clients(1, group.members[0]) as first:
        told.wait_for(b"entered")
        with clients(3, *group.members) as waiting:
            thread.shut_down()
            gate.open()
            within(group.server_close)
            assert first[0].answer() == b"served 0"
            numbers = [0, 1, 2] * len(group.members)
            assert [c.answer() for c in waiting] == [b"served %d" % n for n in numbers]
    assert all(refuses(address) for address in addresses)
    assert all(server.fileno() == -1 for server in group.members)


def test_clients_that_wait_at_any_member_are_served_after_all_workers_were_killed(
    strategy: str, short_path: Path, running: Any, told: Told, gate: Gate, errors: Any
) -> None:
    """Only requests in flight are lost."""
    group = group_of_each(strategy, short_path, functools.partial(held, told, gate), workers=2)
    streams = [server for server in group.members if server.socket_type == 1]
    with running(group):
        if strategy in PERSISTENT:
            idle_workers(group, 2)
        with clients(1, group.members[0]) as first:
            told.wait_for(b"entered")
            with clients(4, *streams) as waiting:
                for pid in workers_of(group):
                    os.kill(pid, signal.SIGKILL)
                gate.open()
                assert first[0].answer() == b""
                assert sum(not client.answer() for client in waiting) <= 1
        kinds = {ask(server) for server in group.members}
    assert kinds == {b"served ?"}
    assert errors()


def test_reuseport_a_listener_passed_to_another_worker_still_serves_its_member(
    short_path: Path, running: Any, told: Told, gate: Gate
) -> None:
    """Two members with listeners in four workers, of which three are retired."""

    def holding(kind: str, data: bytes) -> bytes:
        return kind.encode() + b" " + held(told, gate, kind, data)

    servers = [
        member("tcp", short_path, functools.partial(holding, name)) for name in ("first", "second")
    ]
    group = group_of(*servers, strategy="reuseport", workers=4)
    numbers = range(40)
    with running(group):
        idle_workers(group, 4)
        with clients(40, *servers) as waiting:
            for _ in range(4):
                told.wait_for(b"entered")
            group.max_children = 1
            gate.open()
            wanted = [b"%b served %d" % (n, i) for n in (b"first", b"second") for i in numbers]
            assert [client.answer() for client in waiting] == wanted
        idle_workers(group, 1)
        with clients(20, *servers) as later:
            assert [client.answer().split()[0] for client in later] == [b"first"] * 20 + [
                b"second"
            ] * 20


def test_listeners_are_blocking_again_when_the_workers_have_left(short_path: Path) -> None:
    group = group_of_each("accept", short_path, answer_kind_and_pid)
    thread = start_serving(group)
    ask(group.members[0])
    streams = [server for server in group.members if server.socket_type == 1]
    assert not any(os.get_blocking(server.fileno()) for server in streams)
    thread.shut_down()
    within(lambda: group.collect_children(blocking=True))
    assert all(os.get_blocking(server.fileno()) for server in group.members)
    group.server_close()


def test_with_lifo_few_workers_serve_all_members(short_path: Path, running: Any) -> None:
    group = group_of_each("accept", short_path, answer_kind_and_pid, workers=4)
    group.prefork_settings = Settings(idle_order="lifo")
    with running(group):
        idle_workers(group, 4)
        served = Counter(ask(s).split()[1] for _ in range(50) for s in group.members)
    assert max(served.values()) >= 90
