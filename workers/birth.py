"""The first page of a worker's life."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import signal
from collections.abc import Callable
from types import FrameType

from prefork.workers.protocol.channel import Channel

_NUMBERS = [int(signo) for signo in signal.valid_signals()]
# What `signal.getsignal()` is made of, which makes an enum of each number and of each answer.
_handler_of: Callable[[int], object] = _signal.getsignal


def reset_signals(channel: Channel) -> None:
    """Put the program's signal handlers away and install the two that a worker needs.

    Done while signals are blocked still: the program's handlers were made for the master.

    Ctrl-C reaches the whole foreground group: the worker leaves the answer to the master, which
    will ask it to finish. SIGTERM means what an order to retire means. Both are functions and not
    SIG_IGN, so that programs which a handler starts do not inherit deafness (execve(2)).

    The fork may have happened in any thread: the thread that forked is the main thread here.
    """
    signal.set_wakeup_fd(-1)
    for signo in _NUMBERS:
        if callable(_handler_of(signo)):
            signal.signal(signo, signal.SIG_DFL)

    def leave(signo: int, frame: FrameType | None) -> None:
        channel.hang_up()

    def take_no_notice(signo: int, frame: FrameType | None) -> None:
        pass

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, take_no_notice)
