"""What the master watches beside its workers."""

from __future__ import annotations

import os

from prefork.linux.syscalls import SYSTEM
from prefork.master.children import Children
from prefork.state.worker_table import WorkerTable


def test_a_watch_that_was_cut_short_can_be_ended() -> None:
    """A signal handler's exception may come at any point of it.

    The server could not be closed any more: each try ended with a KeyError.
    """
    children = Children(WorkerTable(), SYSTEM)
    fd = os.eventfd(0)
    try:
        children.unwatch(fd)
        children._others[fd] = lambda: None  # it came before the epoll was told
        children.unwatch(fd)
        children.watch(fd, lambda: None)
        children.unwatch(fd)
        os.eventfd_write(fd, 1)
        assert children.is_quiet
    finally:
        children.close()
        os.close(fd)
