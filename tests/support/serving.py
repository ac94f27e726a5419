"""Run a server's loop in a thread for the length of a ``with`` block."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.support.deadlines import ENDING, EXCHANGE, Deadline, DeadlinePassed, stretched, within

POLL_INTERVAL = 0.01


class ServingThread(threading.Thread):
    """Runs ``serve_forever`` and keeps the exception that it raised."""

    def __init__(self, server: Any, poll_interval: float | None) -> None:
        super().__init__(name="serve_forever", daemon=True)
        self.raised: BaseException | None = None
        self._server = server
        self._poll_interval = poll_interval
        self._begun = threading.Event()
        _on_first_call(server, "fileno", self._begun.set)
        _on_first_call(server, "service_actions", self._begun.set)

    def run(self) -> None:
        try:
            self._server.serve_forever(self._poll_interval)
        except BaseException as error:  # kept for the test to read
            self.raised = error
        finally:
            self._begun.set()

    def end_at_once(self) -> None:
        """Stop the loop and close the server; workers that are still serving are killed."""
        with contextlib.suppress(Exception):
            if hasattr(self._server, "prefork_stop"):
                self._server.prefork_stop(force=True)
            self.shut_down()
            within(self._server.server_close, what="server_close()")

    def wait_until_it_runs(self) -> None:
        """Return once the loop has read the listener's descriptor, has woken up, or has ended."""
        if not self._begun.wait(stretched(EXCHANGE)):
            raise DeadlinePassed("the loop did not start")

    def shut_down(self) -> None:
        """Ask the loop to end, from this thread, and wait for it."""
        within(self._server.shutdown, what="shutdown()")
        self.wait_until_it_ended()

    def wait_until_it_ended(self, seconds: float = ENDING) -> None:
        deadline = Deadline(seconds)
        while self.is_alive():
            self.join(deadline.demand("the end of serve_forever()"))


def end_loops_left_behind() -> None:
    """End the loops that a test has not ended: a pool would keep forking workers."""
    for thread in threading.enumerate():
        if isinstance(thread, ServingThread):
            thread.end_at_once()


def _on_first_call(server: Any, name: str, notice: Callable[[], None]) -> None:
    """Call *notice* at the next call of a method; the spy then removes itself from the instance."""
    if not hasattr(server, name) or name in vars(server):
        return

    def spy() -> Any:
        vars(server).pop(name, None)
        notice()
        return getattr(server, name)()

    vars(server)[name] = spy


def start_serving(server: Any, poll_interval: float | None = POLL_INTERVAL) -> ServingThread:
    """Start the loop in a thread and return when it runs; the caller must end it."""
    thread = ServingThread(server, poll_interval)
    thread.start()
    thread.wait_until_it_runs()
    return thread


@contextlib.contextmanager
def serving(
    server: Any,
    poll_interval: float | None = POLL_INTERVAL,
    *,
    release: Callable[[], None] = lambda: None,
) -> Iterator[Any]:
    """Serve in a thread while the block runs; then shut down, close and join, with deadlines.

    *release* is called before the server is closed; it opens the gates that handlers may wait at.
    The value of the block is the server itself.
    """
    thread = start_serving(server, poll_interval)
    try:
        yield server
    finally:
        release()
        try:
            if thread.is_alive():
                thread.shut_down()
        finally:
            within(server.server_close, what="server_close()")
