"""uWSGI, whose workers parse HTTP themselves, without a router; prints its port.

python -I wsgi_uwsgi.py [--workers N]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.peers.startup import BACKLOG, become

HERE = Path(__file__).resolve().parent


def command(listener: int, workers: int) -> list[str]:
    return [
        *(str(Path(sys.executable).with_name("uwsgi")), "--master", "--die-on-term"),
        *(f"--http-socket=fd://{listener}", f"--workers={workers}"),
        *(f"--listen={BACKLOG}", f"--chdir={HERE}", "--module=wsgi_app", "--need-app"),
        "--disable-logging",
    ]


if __name__ == "__main__":
    # uWSGI prints forty lines to standard error when it starts.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    become(command)
