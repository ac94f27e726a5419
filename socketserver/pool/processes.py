"""The master as the loop sees it: for one request, or until `shutdown()`."""

from __future__ import annotations

from prefork.master.master import Master


class OneRequest:
    """The master for `handle_request()`: a worker is forked when the request has arrived."""

    def __init__(self, master: Master) -> None:
        self.master = master

    def fileno(self) -> int:
        return self.master.fileno()

    def tick(self) -> None:
        self.master.collect()

    def wants_listener(self) -> bool:
        return self.master.has_room()

    def next_timeout(self) -> float | None:
        return self.master.next_timeout()

    def begin_drain(self) -> None:
        self.master.begin_drain()


class UntilShutdown(OneRequest):
    """The master for `serve_forever()`: it maintains the pool."""

    _started = False

    def tick(self) -> None:
        if not self._started:
            self._started = True
            self.master.start()
        self.master.tick()

    def wants_listener(self) -> bool:
        return self.master.wants_listener()
