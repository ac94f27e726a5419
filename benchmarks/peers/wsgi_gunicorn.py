"""gunicorn with its sync workers; prints its port.

python -I wsgi_gunicorn.py [--workers N]
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
        *(sys.executable, "-m", "gunicorn", "wsgi_app:application", "--worker-class=sync"),
        *(f"--bind=fd://{listener.fileno()}", f"--workers={options.workers}"),
        *(f"--backlog={BACKLOG}", f"--chdir={HERE}", "--log-level=warning"),
        "--no-control-socket",  # it would be a file in the user's home
    ]
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
