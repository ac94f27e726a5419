"""wsgiref's server as a pool of ours; prints its port.

python -I wsgi_prefork.py [--workers N]
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

sys.path.append(str(Path(__file__).resolve().parent.parent.parent))

import prefork
from benchmarks.peers.wsgi_app import application


class Handler(WSGIRequestHandler):
    wbufsize = -1  # an answer in one piece, not in one for each header

    def log_message(self, format: str, *args: object) -> None:
        """Nothing, as the others log no requests either."""


class Server(prefork.PreforkMixIn, WSGIServer):
    request_queue_size = 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with Server(("127.0.0.1", 0), Handler) as server:
        server.max_children = options.workers
        server.set_app(application)
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
