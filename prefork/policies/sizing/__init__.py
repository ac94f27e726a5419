"""How many workers there should be, by the load; and the steps from the present number to it."""

from __future__ import annotations

from prefork.policies.sizing.base import Sizing
from prefork.policies.sizing.load import ByLoad
from prefork.policies.sizing.ondemand import OnDemand
from prefork.policies.sizing.spare import Spare

POLICIES: dict[str, type[Sizing]] = {"load": ByLoad, "ondemand": OnDemand, "spare": Spare}
"""The policies by the setting `sizing`; `static` needs none."""
