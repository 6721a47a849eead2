"""What an approver reads in the form: lines that wrap in its narrow column, where a table would be cut off.

The same facts as the plan's own page (`faberdb.report`), with what decides first.
"""

from __future__ import annotations

from collections.abc import Iterator

from faberdb.lint.page import finding_lines
from faberdb.markdown import code
from faberdb.plan import OPAQUE, ApprovalLevel, Plan, PlannedStatement, Step
from faberdb.release.copying import CopyKind
from faberdb.release.evidence import Evidence
from faberdb.report import undo_facts
from faberdb.risk import CONFIRMATION_PHRASE, Risk
from faberdb.witness.page import in_brief

_SHOWN = 40  # statements; a form with thousands of lines is read by nobody
_LONGEST = 110  # characters of a statement


def approval_question(plan: Plan, evidence: Evidence | None, *, standing: str = "") -> str:
    """The question whether a plan may run, as Markdown.

    Args:
        plan: what would run.
        evidence: of its rehearsal, if there was one.
        standing: how far the votes have come, "" where one is enough.
    """
    asks = plan.requester or "somebody"
    parts = [
        f"# Release to {plan.environment}?",
        f"**{asks}** asks for **{len(plan.steps)}** {_revisions(len(plan.steps))} in"
        f" `{plan.database}`" + (f": {plan.change}." if plan.change else "."),
        standing,
        *_warnings(plan),
        "\n".join(f"- **{name}:** {text}" for name, text in _facts(plan, evidence)),
        *_steps(plan),
        f"*Plan `{plan.digest[:16]}`*" + (f" *of commit `{plan.commit[:12]}`*" if plan.commit else ""),
    ]
    return "\n\n".join(part for part in parts if part)


def _facts(plan: Plan, evidence: Evidence | None) -> Iterator[tuple[str, str]]:
    yield "Risk", plan.risk.value
    yield "Locks", _locks(plan)
    yield "Rehearsed", _rehearsed(evidence)
    if evidence is not None and (seen := in_brief(evidence.witnessed, scan_rows=evidence.scan_rows)):
        yield "On the copy it", "; ".join(seen)
    yield "Snapshot", "taken and kept before the first step" if plan.snapshot else "none, by policy"
    yield from undo_facts(plan, evidence)
    yield "Checked afterwards", ", ".join(plan.checks) or "health only; the project has no checks of its own"


def _warnings(plan: Plan) -> Iterator[str]:
    told = [f for f in plan.findings if f.risk is not Risk.LOW or f.blocks or f.ignored]
    lines = [*finding_lines(told, rewrites=False)]
    if len(told) < len(plan.findings):
        lines.append(f"- {len(plan.findings) - len(told)} more of low risk; the plan's artifact has all")
    lines += [f"- {note}" for note in plan.notes]
    if lines:
        yield "\n".join(lines)
    if plan.approval is ApprovalLevel.ENHANCED:
        yield f"To approve, type the phrase `{CONFIRMATION_PHRASE}` below."


def _steps(plan: Plan) -> Iterator[str]:
    left = _SHOWN
    for number, step in enumerate(plan.steps, 1):
        if left <= 0:
            yield f"… and {len(plan.steps) - number + 1} more; the plan's artifact has all of them."
            return
        yield _step(number, step, left)
        left -= len(step.statements)


def _step(number: int, step: Step, room: int) -> str:
    shown = [f"- {code(s.text, _LONGEST)} ({_risk_and_lock(s)})" for s in step.statements[:room]]
    more = len(step.statements) - len(shown)
    lines = [*shown, f"- … {more} more"] if more else shown
    head = f"### {number}. {step.revision}\n\n{step.how}; {step.bounds}\n\n"
    return head + "\n".join([*lines, f"- *Undo:* {step.undo}"])


def _risk_and_lock(statement: PlannedStatement) -> str:
    lock = statement.lock or ("locks not known" if statement.verb in OPAQUE else "")
    return ", ".join(x for x in (statement.risk.value, lock) if x)


def _locks(plan: Plan) -> str:
    statements = [s for step in plan.steps for s in step.statements]
    held = {f"{s.lock} on {', '.join(s.objects) or 'what it names'}" for s in statements if s.lock}
    unseen = {f"what {s.verb} takes is not known before it runs" for s in statements if s.verb in OPAQUE}
    if not held | unseen:
        return "none on what exists"
    some = [*sorted(unseen), *sorted(held)]
    return "; ".join(some[:4]) + (f"; and {len(some) - 4} more" if len(some) > 4 else "")


def _rehearsed(evidence: Evidence | None) -> str:
    if evidence is None:
        return "**no**"
    if not evidence.ok:
        return f"**failed**: {evidence.message}"
    seconds = sum(s for _, s in evidence.step_s)
    undone = f"; taken back there by {evidence.undo_way}" if evidence.undo_s is not None else ""
    if evidence.copy == CopyKind.SCHEMA:
        return f"yes, on a copy **without rows**, in {seconds:.2f} s{undone or '; the undo was not tried'}"
    return f"yes, on a restored copy, in {seconds:.2f} s; the restore took {evidence.restore_s:.1f} s{undone}"


def _revisions(number: int) -> str:
    return "revision" if number == 1 else "revisions"
