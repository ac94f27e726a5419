"""From which process workers are forked: a class for each answer."""

from __future__ import annotations

from prefork.origins.base import Origin
from prefork.origins.forker import FromForker
from prefork.origins.mold import FromMold
from prefork.settings import SpawnName

ORIGINS: dict[SpawnName, type[Origin]] = {
    "auto": FromForker,
    "fork": Origin,
    "refork": FromMold,
}
