"""The clients of the demo: as many as are wanted in one process, which does little per request."""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from dataclasses import dataclass

from prefork.cli.demo.highlight import sample

END = b"</pre></div>\n"


@dataclass
class Client:
    """One connection: one request, one answer."""

    sock: socket.socket
    began: float
    to_send: memoryview
    tail: bytes = b""

    @classmethod
    def connect(cls, port: int, request: bytes) -> Client:
        began = time.perf_counter()
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            raise SystemExit(1) from None  # the server is gone, and so is the demo
        sock.setblocking(False)
        return cls(sock, began, memoryview(request))

    def advance(self) -> bool:
        """Send or receive what can be; whether the answer has ended."""
        try:
            if self.to_send:
                self.to_send = self.to_send[self.sock.send(self.to_send) :]
                if not self.to_send:
                    self.sock.shutdown(socket.SHUT_WR)
                return False
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return False
        self.tail = (self.tail + data)[-len(END) :]
        return not data


def drive(port: int, clients: int, warm_up: float, seconds: float) -> dict[str, object]:
    """Keep `clients` requests going for so long; the seconds that each answered one took."""
    request = sample()
    took: list[float] = []
    failures = 0
    poll = select.poll()
    poll.register(0, select.POLLIN)
    open_now: dict[int, Client] = {}

    def begin() -> None:
        client = Client.connect(port, request)
        open_now[client.sock.fileno()] = client
        poll.register(client.sock, select.POLLOUT)

    for _ in range(clients):
        begin()
    start = time.perf_counter() + warm_up
    while (now := time.perf_counter()) < start + seconds:
        for fd, _ in poll.poll(100):
            if fd == 0:
                raise SystemExit(1)  # whoever started this is gone
            client = open_now[fd]
            try:
                ended = client.advance()
            except OSError:
                ended, client.tail = True, b""
            if not ended:
                poll.modify(fd, select.POLLOUT if client.to_send else select.POLLIN)
                continue
            now = time.perf_counter()
            if client.tail != END:
                failures += 1
            elif now >= start:
                took.append(now - client.began)
            poll.unregister(fd)
            del open_now[fd]
            client.sock.close()
            begin()
    for client in open_now.values():
        client.sock.close()
    return {"took": took, "seconds": seconds, "failures": failures}


def main() -> None:
    """`PORT CLIENTS WARM_UP SECONDS`: drive, and print what was measured as JSON."""
    port, clients = map(int, sys.argv[1:3])
    warm_up, seconds = map(float, sys.argv[3:5])
    print(json.dumps(drive(port, clients, warm_up, seconds)))
