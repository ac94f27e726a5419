"""Signal setup in a newly forked worker."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import signal
from collections.abc import Callable
from types import FrameType

from prefork.workers.protocol.channel import Channel

_NUMBERS = [int(signo) for signo in signal.valid_signals()]
# The function below `signal.getsignal()`, which makes an enum of each argument and result.
_handler_of: Callable[[int], object] = _signal.getsignal


def reset_signals(channel: Channel) -> None:
    """Remove the program's signal handlers and install the two that a worker needs.

    Must run while signals are still blocked: the program's handlers are meant for the master.

    Ctrl-C reaches the whole foreground process group. The worker ignores it, because the master
    answers it and asks the worker to finish. SIGTERM means the same as an order to retire. Both
    handlers are functions, not SIG_IGN, which programs started by a handler would inherit
    (execve(2)).

    The fork may have happened in any thread; that thread is the main thread of this process.
    """
    signal.set_wakeup_fd(-1)
    for signo in _NUMBERS:
        if callable(_handler_of(signo)):
            signal.signal(signo, signal.SIG_DFL)

    def leave(signo: int, frame: FrameType | None) -> None:
        channel.hang_up()

    def ignore(signo: int, frame: FrameType | None) -> None:
        pass

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, ignore)
