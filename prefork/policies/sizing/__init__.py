"""Sizing policies: how many workers the load needs, and the steps to reach that number."""

from __future__ import annotations

from prefork.policies.sizing.base import Sizing
from prefork.policies.sizing.load import ByLoad
from prefork.policies.sizing.ondemand import OnDemand
from prefork.policies.sizing.spare import Spare

POLICIES: dict[str, type[Sizing]] = {"load": ByLoad, "ondemand": OnDemand, "spare": Spare}
"""The policies by the value of `sizing`; `static` does not need a policy."""
