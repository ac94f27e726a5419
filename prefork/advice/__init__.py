"""Derives settings from measurements: pure rules, each of which gives its reasons."""

from prefork.advice.live import advise
from prefork.advice.recommendation import Advice

__all__ = ["Advice", "advise"]
