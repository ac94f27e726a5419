"""Many clients at once, for tests under load."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from tests.support.clients import connect
from tests.support.deadlines import HANG, Call, stretched
from tests.support.pools import answer

CLIENTS = 8


class ClientLoad:
    """Clients that send requests in a loop and record each incomplete answer."""

    def __init__(self, address: Any) -> None:
        self.broken: list[bytes] = []
        self.refused: list[OSError] = []
        self._address = address
        self._stop = threading.Event()
        self._answers = threading.Semaphore(0)

    def wait_for_answers(self, count: int) -> None:
        """Wait until *count* more requests have been served."""
        for _ in range(count):
            assert self._answers.acquire(timeout=stretched(HANG)), "clients are no longer served"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        clients = [Call(self._ask_in_a_loop, "a client") for _ in range(CLIENTS)]
        try:
            yield
        finally:
            self._stop.set()
            for client in clients:
                client.result(HANG)

    def _ask_in_a_loop(self) -> None:
        while not self._stop.is_set():
            try:
                with connect(self._address) as client:
                    client.settimeout(stretched(HANG))
                    client.sendall(b"x")
                    text = answer(client)
            except OSError as error:
                self.refused.append(error)
                return
            if text.endswith(b"served"):
                self._answers.release()
            else:
                self.broken.append(text)
