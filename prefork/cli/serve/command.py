"""Runs `prefork serve`: from the options to bound servers, and into the loop."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

from prefork.advice.phrasing import counted
from prefork.cli.addresses import DEFAULT_BIND, Address, parse, shown
from prefork.cli.log import log_to_stderr
from prefork.cli.options import ServeOptions
from prefork.cli.outcomes import Exit
from prefork.cli.serve.stop_signals import StopSignals
from prefork.cli.serve.until_stopped import serve_until_stopped
from prefork.cli.streams import outlive_readers
from prefork.cli.target.opening import find, open_server
from prefork.readings.cores import usable_cores
from prefork.socketserver import PreforkGroup
from prefork.socketserver.loop import members_of

logger = logging.getLogger("prefork")


def serve(target: str, options: ServeOptions) -> int:
    """Serve `target`; return the exit code.

    Errors: `Refusal`.
    """
    outlive_readers()
    log_to_stderr(options.log_level)
    wanted = options.bind or (parse(DEFAULT_BIND),)
    try:
        given, handler = find(target, options)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    files = SocketFiles()
    # From here on a signal must not lose clients: they can wait as soon as an address is bound.
    signals = StopSignals()
    signals.install()
    try:
        servers: list[Any] = []
        try:
            with signals.breaking_in(give_up):
                for address in wanted:
                    servers.append(open_server(target, given, handler, address, options))
                    files.add(address)
                if options.one_pool:
                    servers = [group_of(servers)]
        except BaseException:
            for server in servers:
                server.server_close()
            raise
        schemes = iter(address.scheme for address in wanted)
        for server in servers:
            announce(target, server, schemes, options)
        return serve_until_stopped(servers, servers[0].prefork_settings.name, signals)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    finally:
        files.remove()
        signals.server_close()


def give_up() -> None:
    raise KeyboardInterrupt


def group_of(servers: Sequence[Any]) -> PreforkGroup:
    """Return a group: one pool for all servers, with the settings of the first."""
    group = PreforkGroup(*servers)
    group.max_children = servers[0].max_children
    group.prefork_settings = servers[0].prefork_settings
    return group


def announce(target: str, server: Any, schemes: Iterator[str], options: ServeOptions) -> None:
    """Log what is served, where, with how many workers, and why that many."""
    members = members_of(server)
    addresses = [f"{next(schemes)}://{shown(m.server_address)}" for m in members]
    settings = server.prefork_settings
    workers = counted(server.max_children, "worker")
    static = settings.sizing == "static"
    most = "" if static and not settings.forks_per_request else "at most "
    how = f"strategy {settings.strategy}" + ("" if static else f", sizing {settings.sizing}")
    threads = ""
    if server.prefork_threads() is not None:
        bound = settings.threads
        threads = f" of {counted(bound, 'thread') if bound else 'any number of threads'} each"
    logger.info(
        "Serving %s on %s with %s%s%s, %s (%s); pid %d.",
        target,
        ", ".join(addresses),
        most,
        workers,
        threads,
        how,
        _why(server, options),
        os.getpid(),
        extra={
            "event": "serving",
            "target": target,
            "addresses": addresses,
            "max_children": server.max_children,
            "strategy": settings.strategy,
            "sizing": settings.sizing,
        },
    )


def _why(server: Any, options: ServeOptions) -> str:
    cores = usable_cores()
    usable = f"this process may use {counted(cores, 'core')}"
    if options.max_children is not None:
        return f"set by max-children; {usable}"
    if server.max_children != cores:
        return f"set by the server class; {usable}"
    return usable


class SocketFiles:
    """The Unix sockets that this program has bound; it removes their files when it exits."""

    def __init__(self) -> None:
        self._bound: list[tuple[Address, tuple[int, int]]] = []

    def add(self, address: Address) -> None:
        if address.file is not None:
            with contextlib.suppress(OSError):
                status = address.file.stat()
                self._bound.append((address, (status.st_dev, status.st_ino)))

    def remove(self) -> None:
        """Remove the files, unless another program has replaced them."""
        for address, identity in self._bound:
            assert address.file is not None
            with contextlib.suppress(OSError):
                status = address.file.stat()
                if (status.st_dev, status.st_ino) == identity:
                    address.file.unlink()
