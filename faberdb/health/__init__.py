"""Health: whether a database can be reached, is what it should be, and has room."""

from __future__ import annotations

from faberdb.health.examination import check_health
from faberdb.health.report import AREAS, CheckResult, HealthReport, HealthState, Thresholds

__all__ = ["AREAS", "CheckResult", "HealthReport", "HealthState", "Thresholds", "check_health"]
