"""Runs pools in this process: serves, drains, closes, and returns the exit code."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from prefork.advice.phrasing import counted
from prefork.cli.outcomes import Exit
from prefork.cli.serve.master_title import MasterTitle
from prefork.cli.serve.stop_signals import EndNow, StopSignals
from prefork.settings import SettingsError
from prefork.socketserver.loop import serve_forever
from prefork.state.exit_reports import StartError

logger = logging.getLogger("prefork")

POLL_INTERVAL = 0.5


def serve_until_stopped(servers: Sequence[Any], name: str, signals: StopSignals) -> Exit:
    """Serve all servers in one loop until a signal or handler stops it; then drain and close."""
    title = MasterTitle(name, [one for one in servers if one.prefork_settings.process_titles])
    signals.after_wakeup = title.show
    exit_code = Exit.DONE
    try:
        serve_forever([*servers, signals], POLL_INTERVAL)
    except StartError as error:
        logger.critical("%s", error, extra={"event": "start_failed"})
        exit_code = Exit.NO_WORKER
    except SettingsError as error:
        logger.critical("%s", error, extra={"event": "invalid_settings"})
        exit_code = Exit.FORCED
    except Exception:
        logger.exception(
            "A hook of the server raised an exception; shutting down.",
            extra={"event": "hook_failed"},
        )
        exit_code = Exit.FORCED
    logger.info(
        "Stopping: workers are finishing their requests and serving those in the backlog%s.",
        _patience(servers),
        extra={"event": "draining", "signals": signals.count},
    )
    title.show_the_end()
    if close(servers, signals):
        return exit_code or Exit.FORCED
    if exit_code is Exit.DONE:
        logger.info("Stopped; every waiting request was served.", extra={"event": "stopped"})
    return exit_code


def close(servers: Sequence[Any], signals: StopSignals) -> bool:
    """Close all servers, waiting for their workers; return whether any worker was killed.

    All workers were told to finish when the loop ended. A second signal or the graceful timeout
    kills them.
    """
    try:
        with signals.breaking_in(lambda: stop_all(servers)):
            for server in servers:
                server.server_close()
    except EndNow:
        pass
    aborted = [n for server in servers if (n := server.prefork_aborted()) is not None]
    if aborted:
        logger.warning(
            "Forced shutdown: %s in progress %s aborted.",
            counted(sum(aborted), "request"),
            "was" if sum(aborted) == 1 else "were",
            extra={"event": "forced_shutdown", "aborted": sum(aborted)},
        )
    return bool(aborted)


def stop_all(servers: Sequence[Any]) -> None:
    """Kill the workers of all pools; called in a signal handler."""
    for server in servers:
        server.prefork_stop(force=True)


def _patience(servers: Sequence[Any]) -> str:
    timeouts = {server.prefork_settings.graceful_timeout for server in servers}
    if timeouts == {None}:
        return ""
    return ", within " + " or ".join(
        f"{timeout:g} s" for timeout in timeouts if timeout is not None
    )
