"""asyncio whose handlers compute in a ProcessPoolExecutor; prints its port.

    python -I asyncio_executor.py [--workers N] [--loops N]

As asyncio's documentation has it for blocking calls: one process speaks with the clients, and what
keeps a core busy is done in another one.
"""

from __future__ import annotations

import argparse
import asyncio
from concurrent.futures import ProcessPoolExecutor

BACKLOG = 1024


def answer(data: bytes, loops: int) -> bytes:
    total = 0
    for number in range(loops):
        total = (total * 31 + number) & 0xFFFF
    return data


async def serve(workers: int, loops: int) -> None:
    loop = asyncio.get_running_loop()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read(1024)
        writer.write(await loop.run_in_executor(pool, answer, data, loops))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    with ProcessPoolExecutor(workers) as pool:
        # Forked at its first task, they would inherit the connections and keep them open.
        await loop.run_in_executor(pool, answer, b"", 0)
        server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=BACKLOG)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--loops", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(serve(options.workers, options.loops))


if __name__ == "__main__":
    main()
