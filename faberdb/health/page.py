"""One environment's health in Markdown, for an artifact: what is not well first, then what moved, then all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from faberdb.health.report import CheckResult, HealthReport, HealthState
from faberdb.markdown import plain, table

_UNWELL = (HealthState.UNHEALTHY, HealthState.DEGRADED)


def health_page(environment: str, report: HealthReport, moved: Sequence[str]) -> str:
    """The page.

    Args:
        environment: its name.
        report: what was seen.
        moved: what is not as at the look before.
    """
    unwell = [r for state in _UNWELL for r in report.results if r.state is state]
    lines = [f"## {environment}: {report.overall.value}", ""]
    lines += [f"{len(report.results)} checks in {report.took_ms:.0f} ms.", ""]
    if unwell:
        rows = [(r.name, r.state.value, r.figure, r.threshold, r.why, r.next_step) for r in unwell]
        columns = ("check", "state", "figure", "threshold", "why it matters", "what to type")
        lines += [_table(columns, rows), ""]
    if moved:
        lines += [
            "### Moved since the look before",
            "",
            *(f"- {plain(line)}" for line in moved),
            "",
        ]
    lines += ["### Every figure", ""]
    lines += [_table(("area", "check", "state", "figure"), (_row(r) for r in report.results)), ""]
    return "\n".join(lines)


def _row(result: CheckResult) -> tuple[str, ...]:
    told = f"{result.figure}: {result.why}" if result.state is HealthState.NOT_RUN else result.figure
    return (result.area, result.name, result.state.value, told)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return table(columns, ([plain(cell) for cell in row] for row in rows))
