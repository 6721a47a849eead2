"""What each phase found, as a page of its own: headings, tables and lists, nothing that a viewer may lack.

Pages are Markdown for Prefect's UI; the lines of a terminal are elsewhere (`faberdb.framing`, the ledger).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from faberdb.framing import EnvironmentState, Framing
from faberdb.ledger import Entry
from faberdb.lock_modes import strongest
from faberdb.markdown import one_line, table
from faberdb.plan import OPAQUE, Plan, PlannedStatement, UndoWay
from faberdb.release.copying import CopyKind
from faberdb.release.evidence import Evidence
from faberdb.release.record import Outcome, Release
from faberdb.report import release_markdown
from faberdb.timeline import timeline_image, timeline_svg
from faberdb.witness.page import witness_page

Link = Callable[[str], str]
"""From a change's id to its address, "" where it has none."""

_ADDRESS: Final = str.maketrans({"(": "%28", ")": "%29", " ": "%20"})


def linked(change: str, link: Link) -> str:
    """A change's id and title as Markdown, linked where there is somewhere to go."""
    id_ = change_id(change)
    url = link(id_) if id_ else ""
    if not url:
        return change
    title = change.removeprefix(id_)
    return f"[{id_}]({url.translate(_ADDRESS)}){title}"


def change_id(change: str) -> str:
    """The id in `id: title`, "" without one."""
    id_, colon, _ = change.partition(": ")
    return id_ if colon and " " not in id_ else ""


def frame_page(framing: Framing, link: Link) -> str:
    """What is asked, and what every environment is."""
    found = framing.detection
    verdict = "This is database work" if found.database_work else "No database work"
    problems = [s for s in framing.environments if s.problem]
    rows = [
        (
            s.environment,
            f"`{s.database}`",
            _state(s),
            str(s.applied) if s.exists else "-",
            str(len(s.pending)),
        )
        for s in framing.environments
    ]
    return _page(
        f"# Frame: {linked(framing.change, link) or 'no work item'}",
        f"**{verdict}**, {found.confidence:.0%} sure: {'; '.join(found.reasons) or 'nothing speaks for it'}.",
        _bullets(
            f"Requested by {framing.requester or 'nobody named'}",
            f"Read at commit `{framing.commit[:12]}`" if framing.commit else "Not in a git repository",
        ),
        "## Environments",
        table(("environment", "database", "state", "applied", "pending"), rows),
        "## New revisions" if any(s.pending for s in framing.environments) else "",
        table(("revision", "still to run in"), _pending(framing.environments)),
        "## Not fit to take a change" if problems else "",
        _bullets(*(f"**{s.environment}**: {s.problem}" for s in problems)),
    )


def _state(state: EnvironmentState) -> str:
    if state.problem:
        return "**problem**"
    if not state.exists:
        return "no database yet"
    return "behind" if state.pending else "up to date"


def _pending(states: Sequence[EnvironmentState]) -> list[tuple[str, str]]:
    names = dict.fromkeys(name for s in states for name in s.pending)
    return [(f"`{n}`", ", ".join(s.environment for s in states if n in s.pending)) for n in names]


def architect_page(plans: Sequence[tuple[str, Plan | None, str]]) -> str:
    """Every environment at a glance, then plan by plan.

    Args:
        plans: environment, its plan or None where it has no database yet, and the plan as Markdown.
    """
    rows = [_glance(environment, plan) for environment, plan, _ in plans]
    columns = ("environment", "to run", "risk", "approval", "undo", "plan")
    return _page(
        "# Architect: what would run, and how it is taken back",
        table(columns, rows),
        *(text.rstrip() for _, _, text in plans),
    )


def with_picture(markdown: str, picture: str) -> str:
    """A plan's text with the picture of what it changes, where there is one."""
    return _page(markdown.rstrip(), "### What it changes in the schema", picture) if picture else markdown


def _glance(environment: str, plan: Plan | None) -> tuple[str, ...]:
    if plan is None:
        return (environment, "everything, once it is created", "-", "-", "-", "-")
    if plan.empty:
        return (environment, "nothing", "-", "-", "-", f"`{plan.digest[:12]}`")
    count = len(plan.steps)
    undo = plan.undo.way.value if plan.undo.way is not UndoWay.NONE else "**none**"
    return (
        environment,
        f"{count} revision{'s' if count != 1 else ''}",
        f"**blocked**, {plan.risk.value}" if plan.blocked else plan.risk.value,
        plan.approval.value,
        undo,
        f"`{plan.digest[:12]}`",
    )


def revision_rows(plan: Plan) -> list[dict[str, Any]]:
    """A plan's revisions as a table's rows, for Prefect's table artifact."""
    return [
        {
            "#": number,
            "revision": step.revision,
            "risk": max((s.risk for s in step.statements), key=lambda r: r.weight).value
            if step.statements
            else "low",
            "statements": len(step.statements),
            "one transaction": "yes" if step.atomic else "no",
            "strongest lock": _strongest_lock(step.statements),
            "undo": step.undo,
        }
        for number, step in enumerate(plan.steps, 1)
    ]


def _strongest_lock(statements: Sequence[PlannedStatement]) -> str:
    return strongest(s.lock for s in statements) or next(
        (s.lock_text for s in statements if s.verb in OPAQUE), "none"
    )


def build_page(
    environment: str, created: Mapping[str, Any], seeded: Mapping[str, Any], health: Mapping[str, Any]
) -> str:
    """What Build left."""
    return _page(
        f"# Build: {environment} is at the newest revision, and {health['health']}",
        _bullets(
            f"**Database:** {'created now' if created['created'] else 'there already'}",
            f"**Server:** PostgreSQL {_version(created.get('server_version'))}",
            f"**Seed:** {seeded['seeded']}",
            f"**Health:** {health['summary']}",
        ),
        "## The project's checks" if health.get("checks") else "",
        _bullets(*(f"held: {name}" for name in health.get("checks", ()))),
        f"What was released there, if anything, has a page of its own: `release-{environment}`.",
    )


def _version(number: object) -> str:
    return f"{number // 10000}.{number % 10000}" if isinstance(number, int) else str(number or "")


def evaluate_page(evidence: Evidence | None, staging: str, tests: str, *, picture: str = "") -> str:
    """What Evaluate found; `picture` is Markdown of what the plan changed on the copy."""
    staged = ["## Staging", _bullets(f"**{staging}** is released and healthy", f"Application tests: {tests}")]
    if evidence is None:
        return _page("# Evaluate: nothing to rehearse", *staged)
    seconds = sum(s for _, s in evidence.step_s)
    return _page(
        "# Evaluate: the plan works on a copy of production",
        _bullets(
            *_copy_made(evidence),
            f"The plan `{evidence.digest[:12]}` ran there in **{seconds:.2f} s**"
            + (", and the project's checks held." if evidence.copy == CopyKind.DATA else "."),
            *_came_out(evidence),
            *evidence.notes,
        ),
        "## What it changed" if picture else "",
        picture,
        "## How long each revision took on the copy",
        table(("revision", "seconds"), [(f"`{n}`", f"{s:.3f}") for n, s in evidence.step_s]),
        *witness_page(evidence.witnessed, evidence.witness, scan_rows=evidence.scan_rows),
        *staged,
    )


def _came_out(evidence: Evidence) -> Iterator[str]:
    after = evidence.fingerprint_after[:12]
    if after:  # not from a copy whose schema cannot be compared
        yield f"The schema came out as `{after}`; production has to come out the same."


def _copy_made(evidence: Evidence) -> Iterator[str]:
    where = "" if evidence.server == "same" else f", on the server {evidence.server}"
    took = f"**{evidence.restore_s:.1f} s**"
    if evidence.copy == CopyKind.SCHEMA:
        yield f"The copy is the schema with its statistics, without rows{where}: {took}."
    elif evidence.undo_s is None:
        yield (
            f"The copy is the snapshot `{evidence.snapshot}`, restored and compared{where}: {took}."
            " An undo by restoring would take about as long."
        )
    else:
        yield f"The copy is the snapshot `{evidence.snapshot}`, restored and compared{where}: {took}."
    if evidence.undo_refuted:
        yield f"The plan's undo did not lead back there: {evidence.undo_refuted}"
    if evidence.undo_s is not None:
        yield (
            f"The undo was tried there too, by {evidence.undo_way}: **{evidence.undo_s:.1f} s**, and the schema came"
            " back as it was before."
        )


def release_page(release: Release, entries: Sequence[Entry], link: Link) -> str:
    """The report of a release under its time line, and what to do next."""
    report = release_markdown(release, change=linked(release.plan.change, link))
    heading, _, rest = report.partition("\n")
    return _page(
        heading, timeline_image(timeline_svg(release, entries)), rest.strip(), _bullets(*_next(release))
    )


def _next(release: Release) -> Iterator[str]:
    if release.outcome is Outcome.RELEASED:
        yield f"To take it back: `faber-db rollback {release.environment} --release {release.id}`"
    elif release.open and release.rollback_opened:
        yield f"A person has to look: `faber-db rollback {release.environment} --release {release.id}`"
    yield f"Every entry of the ledger: `faber-db ledger --release {release.id}`"


def _page(*parts: str) -> str:
    return "\n\n".join(p for p in parts if p) + "\n"


def _bullets(*lines: str) -> str:
    return "\n".join(f"- {one_line(line)}" for line in lines)
