"""What a look at a database's health says: states, figures, the bounds they are held against.

Refuses to know how a figure is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, to_builtins

AREAS: Final = ("connectivity", "migrations", "schema", "performance", "safety", "maintenance")
PROJECT: Final = "project"
"""The area of the project's own checks; looked at only where it is named, since they run its programs."""

_NAMED = 5  # things named in a finding; the rest is counted


class HealthState(StrEnum):
    """How well; a check that was not run says nothing about the whole."""

    NOT_RUN = "not run"
    HEALTHY = "healthy"
    DEGRADED = "degraded"  # a warning: it stops nothing
    UNHEALTHY = "unhealthy"  # before a release it blocks, after one it takes back


_WORSE: Final = {state: rank for rank, state in enumerate(HealthState)}


class CheckResult(Struct, frozen=True, kw_only=True):
    """One check's finding."""

    area: str  # one of AREAS
    name: str  # such as "latency"
    state: HealthState
    figure: str  # what was measured, with its unit
    threshold: str = ""  # what it is held against
    why: str = ""  # why it matters, or why it could not be measured; "" when healthy
    next_step: str = ""  # what to type or do; "" when healthy
    value: float | None = None  # the figure as a number, to compare with the look before
    bound: float | None = None  # the number from which on it is degraded

    def line(self) -> str:
        """The finding in one line."""
        bound = f" ({self.threshold})" if self.threshold else ""
        return f"{self.name}: {self.figure or self.state.value}{bound}" + (
            f": {self.why}" if self.why else ""
        )


class StatementTime(Struct, frozen=True, kw_only=True):
    """What the server counted of one statement since its statistics were reset."""

    calls: int
    total_ms: float


class HealthReport(Struct, frozen=True, kw_only=True):
    """All findings of one look."""

    database: str  # where, without a password
    results: tuple[CheckResult, ...]
    took_ms: float

    @property
    def overall(self) -> HealthState:
        """The worst of the findings; healthy when there are none."""
        states = [HealthState.HEALTHY, *(r.state for r in self.results)]
        return max(states, key=_WORSE.__getitem__)

    def summary(self) -> str:
        """What is not well, worst first, in one text; or that all is."""
        bad = [r for r in self.results if r.state in {HealthState.DEGRADED, HealthState.UNHEALTHY}]
        bad.sort(key=lambda r: -_WORSE[r.state])
        if bad:
            return "; ".join(f"{r.state.value}: {r.line()}" for r in bad)
        run = sum(r.state is not HealthState.NOT_RUN for r in self.results)
        return f"{run} checks healthy in {self.took_ms:.0f} ms"

    def to_json(self) -> dict[str, Any]:
        """The whole report as JSON's own types."""
        return {"overall": self.overall.value, "summary": self.summary(), **to_builtins(self)}

    def text(self) -> str:
        """The whole report for a terminal: a line for each finding, and what to do about a bad one."""
        lines = [f"{self.database}: {self.overall.value} ({self.took_ms:.0f} ms)"]
        for result in self.results:
            lines.append(f"  {result.state.value:<9}  {result.line()}")
            if result.next_step:
                lines.append(f"{'':<13}next: {result.next_step}")
        return "\n".join(lines)


def finding(
    area: str,
    name: str,
    state: HealthState,
    figure: str,
    *,
    threshold: str,
    why: str,
    next_step: str,
    value: float | None = None,
    bound: float | None = None,
) -> CheckResult:
    """A finding that says why and what to do only where it is not well."""
    well = state is HealthState.HEALTHY
    return CheckResult(
        area=area,
        name=name,
        state=state,
        figure=figure,
        threshold=threshold,
        why="" if well else why,
        next_step="" if well else next_step,
        value=value,
        bound=bound,
    )


def not_run(
    area: str, why: str, *, name: str = "", figure: str = "not run", next_step: str = ""
) -> CheckResult:
    """A check, or a whole area, that could not be looked at."""
    return CheckResult(
        area=area, name=name or area, state=HealthState.NOT_RUN, figure=figure, why=why, next_step=next_step
    )


def judge(figure: float, *, degraded: float, unhealthy: float | None = None) -> HealthState:
    """The state of a figure of which more is worse; a bound is reached when it is met."""
    if unhealthy is not None and figure >= unhealthy:
        return HealthState.UNHEALTHY
    return HealthState.DEGRADED if figure >= degraded else HealthState.HEALTHY


def listed(names: Sequence[str], *, count: int | None = None) -> str:
    """The first few of `names`, and how many more of `count` there are."""
    more = (len(names) if count is None else count) - len(names[:_NAMED])
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def size(octets: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(octets) < 1024:
            return f"{octets:.0f} {unit}" if unit == "bytes" or octets >= 10 else f"{octets:.1f} {unit}"
        octets /= 1024
    return f"{octets:.1f} TB"
