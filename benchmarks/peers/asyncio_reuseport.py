"""asyncio in several processes, each with its own listener (SO_REUSEPORT); prints the port.

    python -I asyncio_reuseport.py [--workers N] [--api streams|protocol]

The echo server of asyncio's documentation, with streams or with protocols.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from asyncio import Transport, transports

BACKLOG = 1024


class EchoProtocol(asyncio.Protocol):
    transport: Transport

    def connection_made(self, transport: transports.BaseTransport) -> None:
        assert isinstance(transport, Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)
        self.transport.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read(1024))
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def listener(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    made.listen(BACKLOG)
    return made


async def serve(listening: socket.socket, api: str) -> None:
    if api == "streams":
        server = await asyncio.start_server(echo, sock=listening, backlog=BACKLOG)
    else:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(EchoProtocol, sock=listening, backlog=BACKLOG)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--api", choices=("streams", "protocol"), default="streams")
    options = parser.parse_args()
    first = listener(0)
    port = first.getsockname()[1]
    listening = [first, *(listener(port) for _ in range(options.workers - 1))]
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    pids: list[int] = []
    try:
        for mine in listening:
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                for other in listening:
                    if other is not mine:
                        other.close()
                asyncio.run(serve(mine, options.api))
            pids.append(pid)
        for each in listening:
            each.close()
        print(port, flush=True)
        signal.pause()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
