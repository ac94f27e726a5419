"""From which process workers are forked: a class for each answer."""

from __future__ import annotations

from prefork.master.origins.from_fork_server import FromForkServer
from prefork.master.origins.from_master import Origin
from prefork.master.origins.from_mold import FromMold
from prefork.settings import ForkFrom

ORIGINS: dict[ForkFrom, type[Origin]] = {
    "auto": FromForkServer,
    "master": Origin,
    "mold": FromMold,
}
