"""uWSGI, its HTTP parser and its workers without a router between; prints its port.

python -I wsgi_uwsgi.py [--workers N]
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BACKLOG = 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    print(listener.getsockname()[1], flush=True)
    command = [
        *(str(Path(sys.executable).with_name("uwsgi")), "--master", "--die-on-term"),
        *(f"--http-socket=fd://{listener.fileno()}", f"--workers={options.workers}"),
        *(f"--listen={BACKLOG}", f"--chdir={HERE}", "--module=wsgi_app", "--need-app"),
        "--disable-logging",
    ]
    # It greets with forty lines, on the way that its errors go too.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
