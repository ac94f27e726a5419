"""Pools whose workers are forked from a mold."""

from typing import Any

from tests.support.clients import ask
from tests.support.polling import eventually
from tests.support.pools import pool_of


def reforking_pool(handler: Any, after: int = 10, **attributes: Any) -> Any:
    settings = {"fork_from": "mold", "refork_after": after} | attributes.pop("settings", {})
    return pool_of(handler, settings=settings, **attributes)


def generations(server: Any) -> list[int]:
    return [status.generation for status in server.prefork_status()]


def wait_until_renewed(server: Any, generation: int = 1) -> None:
    """Send requests until every worker is of this generation or a later one."""

    def renewed() -> bool:
        for _ in range(10):
            ask(server.server_address)
        found = generations(server)
        return len(found) == server.max_children and min(found) >= generation

    eventually(renewed, what=f"generation {generation} ({generations(server)} now)")
