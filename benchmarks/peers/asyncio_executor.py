"""asyncio with handlers that compute in a ProcessPoolExecutor; prints its port.

    python -I asyncio_executor.py [--workers N]

asyncio's documentation recommends this for work that keeps a core busy: one process talks to the
clients, and others do the work. Here the work is to return what was received.
"""

from __future__ import annotations

import argparse
import asyncio
from concurrent.futures import ProcessPoolExecutor

BACKLOG = 1024


def answer(data: bytes) -> bytes:
    return data


async def serve(workers: int) -> None:
    loop = asyncio.get_running_loop()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read(1024)
        writer.write(await loop.run_in_executor(pool, answer, data))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    with ProcessPoolExecutor(workers) as pool:
        # If the processes were forked at the first task, they would inherit connections and keep
        # them open.
        await loop.run_in_executor(pool, answer, b"")
        server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=BACKLOG)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    asyncio.run(serve(options.workers))


if __name__ == "__main__":
    main()
