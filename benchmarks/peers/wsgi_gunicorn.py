"""gunicorn with its sync workers; prints its port.

python -I wsgi_gunicorn.py [--workers N]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.peers.startup import BACKLOG, become

HERE = Path(__file__).resolve().parent


def command(listener: int, workers: int) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "wsgi_app:application", "--worker-class=sync"),
        *(f"--bind=fd://{listener}", f"--workers={workers}"),
        *(f"--backlog={BACKLOG}", f"--chdir={HERE}", "--log-level=warning"),
        "--no-control-socket",  # it would create a file in the home folder
    ]


if __name__ == "__main__":
    become(command)
