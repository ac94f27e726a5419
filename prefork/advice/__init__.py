"""From what was measured to what to set: pure rules, each of which gives its reason."""

from prefork.advice.live import advise
from prefork.advice.recommendation import Advice

__all__ = ["Advice", "advise"]
