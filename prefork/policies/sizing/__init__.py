"""How many workers there shall be, by the load; and the steps from the present number to that."""

from __future__ import annotations

from prefork.policies.sizing.base import Sizing
from prefork.policies.sizing.load import ByLoad
from prefork.policies.sizing.ondemand import OnDemand
from prefork.policies.sizing.spare import Spare

POLICIES: dict[str, type[Sizing]] = {"load": ByLoad, "ondemand": OnDemand, "spare": Spare}
"""By the setting `sizing`; `static` needs none."""
