"""Health: whether a database can be reached, is what it should be, has room, and is looked after."""

from __future__ import annotations

from faberdb.health.report import AREAS, PROJECT, CheckResult, HealthReport, HealthState
from faberdb.health.thresholds import Thresholds

__all__ = ["AREAS", "PROJECT", "CheckResult", "HealthReport", "HealthState", "Thresholds"]
