"""gunicorn with its sync workers; prints its port.

python -I wsgi_gunicorn.py [--workers N]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent.parent))

from benchmarks.peers.starting import BACKLOG, become

HERE = Path(__file__).resolve().parent


def command(listener: int, workers: int) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "wsgi_app:application", "--worker-class=sync"),
        *(f"--bind=fd://{listener}", f"--workers={workers}"),
        *(f"--backlog={BACKLOG}", f"--chdir={HERE}", "--log-level=warning"),
        "--no-control-socket",  # it would be a file in the user's home
    ]


if __name__ == "__main__":
    become(command)
