"""rpyc's own servers, a process or a thread for each connection; prints its port.

python -I rpyc_server.py [--kind forking|threaded]
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from rpyc.utils.server import ForkingServer, ThreadedServer

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.peers.rpyc_service import EchoService

KINDS = {"forking": ForkingServer, "threaded": ThreadedServer}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, help="ignored: each connection has its own")
    parser.add_argument("--kind", choices=KINDS, default="forking")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    server = KINDS[options.kind](EchoService, hostname="127.0.0.1", port=0, backlog=1024)
    print(server.port, flush=True)
    server.start()


if __name__ == "__main__":
    main()
