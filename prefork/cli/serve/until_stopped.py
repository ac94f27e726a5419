"""The life of some pools in this process: serve, drain, close; and how it ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Sequence
from typing import Any

from prefork.cli.outcomes import Exit
from prefork.cli.serve.master_title import MasterTitle
from prefork.cli.serve.stop_signals import EndNow, StopSignals
from prefork.master.master import Master
from prefork.settings import SettingsError
from prefork.socketserver.loop import serve_forever
from prefork.socketserver.pool.mixin import master_of
from prefork.state.reports import StartError

logger = logging.getLogger("prefork")

POLL_INTERVAL = 0.5


def serve_until_stopped(servers: Sequence[Any], name: str, signals: StopSignals) -> Exit:
    """Serve all of them in one loop, until a signal or a handler asks for the end.

    Then every pool drains; the servers are closed.
    """
    title = MasterTitle(name, [one for one in servers if one.prefork_settings.process_titles])
    signals.every_turn = title.show
    exit_code = Exit.DONE
    try:
        serve_forever([*servers, signals], POLL_INTERVAL)
    except StartError as error:
        logger.critical("%s", error)
        exit_code = Exit.NO_WORKER
    except SettingsError as error:
        logger.critical("%s", error)
        exit_code = Exit.FORCED
    except Exception:
        logger.exception("The server's own hooks failed, so it ends")
        exit_code = Exit.FORCED
    logger.info("Stopping: workers finish what they hold and what waits%s.", _patience(servers))
    title.show_the_end()
    if close(servers, signals):
        logger.warning("Stopped by force: what workers were still serving is lost.")
        return exit_code or Exit.FORCED
    if exit_code is Exit.DONE:
        logger.info("Stopped; nobody was left waiting.")
    return exit_code


def close(servers: Sequence[Any], signals: StopSignals) -> bool:
    """Close all servers, which waits for their workers; whether any of these had to be killed.

    All have been told to finish when the loop ended. A second signal kills them.
    """
    masters = [master for s in servers if (master := master_of(s)) is not None]
    try:
        with signals.breaking_in(lambda: kill_by_number(masters)):
            for server in servers:
                server.server_close()
    except EndNow:
        return True
    return any(master.is_forced for master in masters)


def _patience(servers: Sequence[Any]) -> str:
    timeouts = {server.prefork_settings.graceful_timeout for server in servers}
    if timeouts == {None}:
        return ""
    return ", within " + " or ".join(
        f"{timeout:g} s" for timeout in timeouts if timeout is not None
    )


def kill_by_number(masters: Sequence[Master]) -> None:
    """Kill all workers; for a signal handler, which may have interrupted their masters anywhere.

    So nothing is written in the masters' books: they will find the dead, and report them.
    """
    for master in masters:
        master.note_forced()
        for status in master.status():
            with contextlib.suppress(ProcessLookupError):
                os.kill(status.pid, signal.SIGKILL)
