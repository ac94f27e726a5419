"""The origins of persistent workers: a class for each value of `fork_from`."""

from __future__ import annotations

from prefork.master.origins.from_fork_server import FromForkServer
from prefork.master.origins.from_master import FromMaster
from prefork.master.origins.from_mold import FromMold
from prefork.settings import ForkFrom, Settings

_BY_NAME: dict[ForkFrom, type[FromMaster]] = {
    "auto": FromForkServer,
    "master": FromMaster,
    "mold": FromMold,
}


def origin_of(settings: Settings) -> type[FromMaster]:
    """Return the class for the setting `fork_from`."""
    return _BY_NAME[settings.fork_from]
