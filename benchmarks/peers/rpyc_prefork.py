"""rpyc's protocol on a pool of ours; prints its port.

python -I rpyc_prefork.py [--workers N]
"""

from __future__ import annotations

import sys
from pathlib import Path

import rpyc

sys.path.append(str(Path(__file__).resolve().parent.parent.parent))

import prefork
from benchmarks.peers.rpyc_service import EchoService
from benchmarks.peers.starting import serve_pool


class RpycHandler(prefork.BaseRequestHandler):
    def handle(self) -> None:
        rpyc.connect_stream(rpyc.SocketStream(self.request), EchoService).serve_all()


if __name__ == "__main__":
    serve_pool(prefork.PreforkTCPServer, RpycHandler)
