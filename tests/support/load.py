"""Clients in numbers, for tests of what happens under load."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from tests.support.clients import connect
from tests.support.deadlines import HANG, Call, stretched
from tests.support.pools import answer

CLIENTS = 8


class ClientLoad:
    """Clients that ask again and again; whatever was no complete answer is noted."""

    def __init__(self, address: Any) -> None:
        self.broken: list[bytes] = []
        self.refused: list[OSError] = []
        self._address = address
        self._stop = threading.Event()
        self._answers = threading.Semaphore(0)

    def wait_for_answers(self, count: int) -> None:
        """Return when so many more requests have been served."""
        for _ in range(count):
            assert self._answers.acquire(timeout=stretched(HANG)), "nobody is served any more"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        clients = [Call(self._ask_again_and_again, "a client") for _ in range(CLIENTS)]
        try:
            yield
        finally:
            self._stop.set()
            for client in clients:
                client.result(HANG)

    def _ask_again_and_again(self) -> None:
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
