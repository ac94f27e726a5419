"""rpyc's protocol on a prefork pool; prints its port.

python -I rpyc_prefork.py [--workers N]
"""

from __future__ import annotations

import sys
from pathlib import Path

import rpyc

sys.path.append(str(Path(__file__).resolve().parents[2]))

import prefork
from benchmarks.peers.rpyc_service import EchoService
from benchmarks.peers.startup import serve_pool


class RpycHandler(prefork.BaseRequestHandler):
    def handle(self) -> None:
        rpyc.connect_stream(rpyc.SocketStream(self.request), EchoService).serve_all()


if __name__ == "__main__":
    serve_pool(prefork.PreforkTCPServer, RpycHandler)
