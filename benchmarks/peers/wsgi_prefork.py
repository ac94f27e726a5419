"""wsgiref's server as a prefork pool; prints its port.

python -I wsgi_prefork.py [--workers N]
"""

from __future__ import annotations

import sys
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

sys.path.append(str(Path(__file__).resolve().parents[2]))

import prefork
from benchmarks.peers.startup import serve_pool
from benchmarks.peers.wsgi_app import application


class QuietRequestHandler(WSGIRequestHandler):
    wbufsize = -1  # one write for each answer, not one for each header

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the other servers log no requests either."""


class WsgiPool(prefork.PreforkMixIn, WSGIServer):
    application = staticmethod(application)


if __name__ == "__main__":
    serve_pool(WsgiPool, QuietRequestHandler)
