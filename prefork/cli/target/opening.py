"""Finds what a command serves, and opens a bound server for it."""

from __future__ import annotations

from typing import Any

from prefork.cli import addresses
from prefork.cli.addresses import Address
from prefork.cli.options import ServeOptions
from prefork.cli.outcomes import Refusal
from prefork.cli.target import loading
from prefork.cli.target.server_class import (
    check_handler,
    construct,
    could_be_handler,
    could_be_served,
    is_server_class,
    pool_class,
)


def find(target: str, options: ServeOptions) -> tuple[Any, Any]:
    """Return what to serve, and the request handler for it if --handler names one.

    Errors: `Refusal`.
    """
    loading.look_in(options.app_dir)
    given = loading.load(target, could_be_served)
    server_class = is_server_class(given)
    if not server_class:
        check_handler(target, given)
    if options.handler is None:
        return given, None
    if not server_class:
        raise Refusal(f"{target} is already a request handler: remove --handler.")
    handler = loading.load(options.handler, could_be_handler)
    check_handler(options.handler, handler)
    return given, handler


def open_server(
    target: str, given: Any, handler: Any, address: Address, options: ServeOptions
) -> Any:
    """Return a server with a pool, bound to `address`.

    Errors: `Refusal`.
    """
    made = pool_class(target, given, address, options)
    addresses.remove_stale(address)
    try:
        return construct(target, made, given, address, handler)
    except Refusal:
        raise
    except OSError as error:
        raise addresses.refusal_of(address, error) from error
    except Exception as error:
        raise Refusal(loading.failure_in(f"{target} cannot be constructed", error)) from error
