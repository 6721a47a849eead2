"""What the configuration calls well, and what people read of a look."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import asdict

from faberdb.config.health import HealthSection
from faberdb.health import CheckResult, HealthReport, HealthState, Thresholds
from faberdb.health.page import health_page
from faberdb.health.report import listed, size
from faberdb.release.verification import thresholds_of


def test_the_configurations_defaults_are_those_of_the_checks() -> None:
    assert thresholds_of(HealthSection()) == Thresholds()


def test_every_bound_can_be_configured() -> None:
    assert set(asdict(Thresholds())) == set(HealthSection.model_fields) - {"timeout_seconds", "history_days"}
    assert thresholds_of(HealthSection(slot_warn_mb=3, tls_required=False)) == Thresholds(
        slot_warn_mb=3, tls_required=False
    )


@pytest.mark.parametrize("key", ["latency_warn_ms", "query_warn_ms", "wraparound_warn_percent"])
def test_a_warning_after_the_alarm_is_impossible(key: str) -> None:
    unhealthy = key.replace("warn", "unhealthy")
    section = HealthSection.model_validate({key: 60, unhealthy: 50})

    assert list(section.impossible_bounds()) == [f"health.{key} is above health.{unhealthy}"]


def result(name: str, state: HealthState, **more: Any) -> CheckResult:
    return CheckResult(area="safety", name=name, state=state, figure="7", **more)


def test_the_page_says_first_what_is_not_well_the_worst_before_the_rest() -> None:
    report = HealthReport(
        database="shop",
        results=(
            result("well", HealthState.HEALTHY),
            result("warned", HealthState.DEGRADED, threshold="from 5", why="SELECT a | b", next_step="type"),
            result("ill", HealthState.UNHEALTHY, why="It is", next_step="act"),
            result("unknown", HealthState.NOT_RUN, why="the server does not tell"),
        ),
        took_ms=12,
    )

    page = health_page("production", report, ["well: 6 → 7"])

    assert page.startswith("## production: unhealthy\n\n4 checks in 12 ms.\n\n| check | state |")
    assert page.index("| ill | unhealthy | 7 |") < page.index("| warned | degraded | 7 | from 5 |")
    assert "| SELECT a \\| b | type |" in page
    assert "### Moved since the look before\n\n- well: 6 → 7\n" in page
    assert "| safety | unknown | not run | 7: the server does not tell |" in page


def test_a_well_environment_has_one_table() -> None:
    report = HealthReport(database="shop", results=(result("well", HealthState.HEALTHY),), took_ms=12)

    page = health_page("production", report, [])

    assert page.count("| state |") == 1
    assert "Moved" not in page


def test_sizes_and_lists_are_short() -> None:
    assert [size(n) for n in (0, 1023, 1536, 20 * 2**20, 3 * 2**40)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 kB",
        "20 MB",
        "3.0 TB",
    ]
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert listed(["a"], count=3) == "a and 2 more"
