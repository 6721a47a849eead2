"""Plans and releases as people read them: one Markdown text for the terminal, the artifact and the files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from faberdb.ledger import Kind
from faberdb.lint.page import finding_lines
from faberdb.markdown import code, one_line, table
from faberdb.plan import ApprovalLevel, Plan, Step, UndoWay
from faberdb.release.approval import Decision
from faberdb.release.copying import CopyKind
from faberdb.release.evidence import Evidence
from faberdb.release.record import Outcome, Release
from faberdb.risk import CONFIRMATION_PHRASE
from faberdb.ways_back import ENDED_BY_RESTORING, LOST_BY_RESTORING
from faberdb.witness.page import witness_page

_SHOWN = 90  # characters of a statement
_SIGN = {
    Outcome.RELEASED: "✔",
    Outcome.ROLLED_BACK: "↩",
    Outcome.ABORTED: "↩",
    Outcome.REJECTED: "✘",
    Outcome.EXPIRED: "✘",
    Outcome.SUPERSEDED: "-",
    Outcome.FAILED: "✘",
}


def plan_markdown(plan: Plan, evidence: Evidence | None = None, *, change: str = "") -> str:
    """What will run, at what risk, and how it is undone; `change` is Markdown for the plan's, a link perhaps."""
    if plan.empty:
        return f"**{plan.environment}** is up to date: {len(plan.applied)} revisions applied, none pending.\n"
    lines = [
        f"## Plan for {plan.environment}",
        "",
        *_facts(
            ("Change", change or plan.change or "none given"),
            ("Database", f"`{plan.database}`"),
            ("Digest", f"`{plan.digest[:16]}`"),
            ("Commit", f"`{plan.commit[:12]}`" if plan.commit else "not a git repository"),
            ("Requested by", plan.requester or "not given"),
            ("Risk", f"**{plan.risk.value}**"),
            ("Approval", _approval(plan.approval)),
            ("Snapshot", _SNAPSHOT[plan.proof] if plan.snapshot else "none, by policy"),
            *undo_facts(plan, evidence),
            ("Checked after", ", ".join(plan.checks) or "no checks of the project's own"),
            ("Rehearsed", _rehearsed(evidence)),
        ),
        "",
    ]
    if plan.findings or plan.notes:
        lines += ["### Findings", ""]
        lines += finding_lines(plan.findings)
        lines += [f"- {note}" for note in plan.notes] + [""]
    for number, step in enumerate(plan.steps, 1):
        lines += _step(number, step)
    if evidence is not None:
        lines += _undo_script(evidence)
    if evidence is not None and (seen := [b for b in _witnessed(evidence) if b]):
        lines += ["\n\n".join(seen), ""]
    return "\n".join(lines) + "\n"


def undo_facts(plan: Plan, evidence: Evidence | None) -> tuple[tuple[str, str], ...]:
    """How the plan would be taken back: by which way and why, what that loses, ends and takes."""
    undo = plan.undo
    if evidence is not None and evidence.undo_refuted:
        nothing_else = undo.fallback is UndoWay.NONE
        return (
            (
                "Undo",
                f"**{undo.fallback.value}**: {undo.way.value} did not lead back on the copy:"
                f" {evidence.undo_refuted}",
            ),
            ("Undo loses", "what was done stays" if nothing_else else LOST_BY_RESTORING),
            ("Undo ends", "no connection" if nothing_else else ENDED_BY_RESTORING),
            ("Undo takes", _undo_takes(undo.fallback, evidence)),
        )
    return (
        ("Undo", f"**{undo.way.value}**: {undo.why}"),
        ("Undo loses", undo.loses),
        ("Undo ends", undo.ends or "no connection"),
        ("Undo takes", _undo_takes(undo.way, evidence)),
    )


def _undo_takes(way: UndoWay, evidence: Evidence | None) -> str:
    if way in {UndoWay.ABORT, UndoWay.NONE}:
        return "there is nothing to do" if way is UndoWay.ABORT else "there is none"
    if evidence is None or evidence.undo_s is None:
        return "not known: it was not rehearsed"
    return f"{max(evidence.undo_s, 0.01):.2f} s on the copy, and the schema came back"


def _undo_script(evidence: Evidence) -> list[str]:
    """What a way in place runs, as it ran on the copy."""
    if not evidence.undo_script:
        return []
    script = "\n".join(f"{text};" for text in evidence.undo_script)
    return [f"### The undo, by {evidence.undo_way}", "", "```sql", script, "```", ""]


def _witnessed(evidence: Evidence) -> list[str]:
    seen = witness_page(evidence.witnessed, evidence.witness, scan_rows=evidence.scan_rows, heading="###")
    return [*seen, "\n".join(f"- {note}" for note in evidence.notes)]


def _step(number: int, step: Step) -> list[str]:
    rows = [(s.risk.value, s.lock_text, code(s.text, _SHOWN)) for s in step.statements]
    return [
        f"### {number}. {step.revision}",
        "",
        f"{step.how}; {step.bounds}. {step.undo[0].upper()}{step.undo[1:]}.",
        "",
        table(("risk", "lock on what exists", "statement"), rows),
        "",
    ]


def _approval(level: ApprovalLevel) -> str:
    if level is ApprovalLevel.NONE:
        return "none needed"
    if level is ApprovalLevel.ENHANCED:
        return f"enhanced: someone other than the requester, with the phrase `{CONFIRMATION_PHRASE}`"
    return "someone other than the requester"


def _rehearsed(evidence: Evidence | None) -> str:
    if evidence is None:
        return "no"
    if not evidence.ok:
        return f"**failed**: {evidence.message}"
    seconds = sum(s for _, s in evidence.step_s)
    undone = "" if evidence.undo_s is None else f"; it was taken back there by {evidence.undo_way}"
    if evidence.copy == CopyKind.SCHEMA:
        return f"yes, on a copy without rows, in {seconds:.2f} s{undone or '; the undo was not tried'}"
    restoring = f"yes, on a restored copy in {seconds:.2f} s; restoring took {evidence.restore_s:.1f} s"
    return f"{restoring}{undone or ', and so would an undo by it'}"


def release_markdown(release: Release, *, change: str = "") -> str:
    """What one release did, step by step, and how it ended."""
    sign = _SIGN[release.outcome] if release.outcome else "…"
    plan = release.plan
    lines = [
        f"## {sign} {release.environment}: {release.state}",
        "",
        *_facts(
            ("Release", f"`{release.id}`"),
            ("Change", change or plan.change or "none given"),
            ("Digest", f"`{release.digest[:16]}`"),
            ("Requested by", release.requester or "not given"),
            ("Decided by", _decided(release)),
            ("Revisions", listed([s.revision for s in plan.steps]) or "none"),
            ("Took", _took(release.opened_at, release.closed_at)),
        ),
        "",
    ]
    if release.cause:
        lines += [f"**Why it was taken back:** {release.cause}", ""]
    rows = [
        (s.step, f"{s.at.astimezone(UTC):%H:%M:%S}", _result(s.kind, s.outcome, s.error))
        for s in release.steps.values()
    ]
    lines += [
        table(("step", "at (UTC)", "result"), rows),
        "",
        *_moment_before(release),
        *_proof_of_undo(release),
    ]
    return "\n".join(lines) + "\n"


_SNAPSHOT: Final = {
    "": "taken and kept before the first step",
    "manifest": "taken before the first step, and its files checked",
    "recent": "taken before the first step; it or another of late is restored beside and compared",
    "restore": "taken before the first step, restored beside and compared",
}


def _moment_before(release: Release) -> Iterable[str]:
    """What an administrator needs who recovers the server to the moment before the release."""
    moment = release.done("point in time")
    if moment is None:
        return []
    return [
        f"**The moment before:** {moment['time']}, LSN `{moment['lsn']}`, timeline {moment['timeline']}"
        f" ({moment['by']}). To recover to it takes an administrator: `recovery_target_lsn`, or the hosting's"
        " recovery to a point in time.",
        "",
    ]


def _proof_of_undo(release: Release) -> Iterable[str]:
    """What shows that the environment is as it was, and what became of the rows written meanwhile."""
    undone = release.done("verify undone")
    if undone is None:
        return []
    lines = [
        "**Proof of the undo:** the schema's fingerprint is"
        f" `{str(undone['fingerprint'])[:16]}`, as before the release (`{release.plan.fingerprint[:16]}`)."
    ]
    in_place = release.done("undo in place") or {}
    if in_place.get("undone"):
        kept = "; ".join(f"{label}: {rows} rows" for label, rows in in_place["kept"].items())
        lines.append(
            f"It was taken back in place, by {in_place['statements']} statements in one transaction; every other row"
            " that was written meanwhile is where it was."
        )
        if kept:
            lines.append(f"What came into what was added is kept in `{in_place['aside']}`: {kept}.")
    elif in_place:
        lines.append(f"In place it could not be taken back: {in_place['why']}")
    restored = release.done("restore beside")
    if restored is not None:
        lines.append(
            f"The restored snapshot `{restored['snapshot']}` equals its manifest: schema"
            f" {_yes(restored['fingerprint_equal'])}, rows of every table {_yes(restored['rows_equal'])}."
        )
    swap = release.done("swap")
    if swap is not None:
        tables = (release.done("count later rows") or {}).get("tables", {})
        later = "; ".join(f"{t}: {c['snapshot']} → {c['live']} rows" for t, c in tables.items())
        lines.append(
            f"The database as it failed is kept as `{swap['aside']}`. Tables with another number of rows there:"
            f" {later or 'none'}. Row by row, changed ones too: `faber-db rescue {release.id}`."
        )
    return [*lines, ""]


def listed(values: Sequence[object]) -> str:
    """A few names; or how many there are, and the ends."""
    if len(values) <= 3:
        return ", ".join(str(v) for v in values)
    return f"{len(values)}: {values[0]} … {values[-1]}"


def _yes(equal: object) -> str:
    return "equal" if equal else "**not equal**"


def _decided(release: Release) -> str:
    votes = [
        f"{v.approver} ({'yes' if v.decision is Decision.APPROVE else 'no'}"
        f"{', ' + v.comment if v.comment else ''})"
        for v in release.votes
    ]
    return ", ".join(votes) or "nobody asked" if release.asked_at is None else ", ".join(votes) or "waiting"


def _took(opened: datetime, closed: datetime | None) -> str:
    return f"{(closed - opened).total_seconds():.1f} s" if closed else "not ended"


def _result(kind: Kind, outcome: object, error: str) -> str:
    if kind is Kind.STEP_FAILED:
        return f"failed: {error}"
    if kind is Kind.STEP_INTENDED:
        return "begun"
    facts = outcome if isinstance(outcome, dict) else {}
    shown = [f"{k.replace('_', ' ')} {_short(v)}" for k, v in facts.items() if v not in ("", None, [], {})]
    return ", ".join(shown) or "done"


def _short(value: object) -> str:
    if isinstance(value, list):
        return listed(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "; ".join(f"{k}: {_short(v)}" for k, v in value.items())
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text[:16] if len(text) == 64 else text


def _facts(*pairs: tuple[str, str]) -> Sequence[str]:
    # A list, for Prefect's first UI cuts a table's long cells instead of breaking their lines.
    return [f"- **{k}:** {one_line(v)}" for k, v in pairs]
