"""rpyc's protocol on a pool of ours; prints its port.

python -I rpyc_prefork.py [--workers N]
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import rpyc

sys.path.append(str(Path(__file__).resolve().parent.parent.parent))

import prefork
from benchmarks.peers.rpyc_service import Echo


class Handler(prefork.BaseRequestHandler):
    def handle(self) -> None:
        rpyc.connect_stream(rpyc.SocketStream(self.request), Echo).serve_all()


class Server(prefork.PreforkTCPServer):
    request_queue_size = 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with Server(("127.0.0.1", 0), Handler) as server:
        server.max_children = options.workers
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
