"""Descriptors that the master watches in addition to its workers."""

from __future__ import annotations

import os

from prefork.linux.syscalls import SYSTEM
from prefork.master.children import Children
from prefork.state.worker_table import WorkerTable


def test_an_interrupted_watch_can_be_undone() -> None:
    """A signal handler may raise at any point of `watch()`.

    Afterwards the server could not be closed: each attempt ended with a KeyError.
    """
    children = Children(WorkerTable(), SYSTEM)
    fd = os.eventfd(0)
    try:
        children.unwatch(fd)
        children._others[fd] = lambda: None  # interrupted before the call of epoll_ctl
        children.unwatch(fd)
        children.watch(fd, lambda: None)
        children.unwatch(fd)
        os.eventfd_write(fd, 1)
        assert children.is_quiet
    finally:
        children.close()
        os.close(fd)
