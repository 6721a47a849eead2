"""Deciding what a plan says. Takes observations and returns a value; opens nothing.

Deciding and doing are apart: `faberdb.observation` looks, `faberdb.release` does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from faberdb.advice import advise
from faberdb.config.linting import LintSection
from faberdb.config.proving import SnapshotProof
from faberdb.errors import Refused
from faberdb.history import pending
from faberdb.lint.squawk import SecondOpinion
from faberdb.observation import Observation
from faberdb.plan import ApprovalLevel, Plan, PlannedStatement, Step, StepKind, Undo, UndoWay
from faberdb.policy import BackupNeed, Policy
from faberdb.revision import Revision, Standing
from faberdb.risk import Finding, Risk, judge, risk_of, worst
from faberdb.settlement import Reversal, adopting
from faberdb.statements import Statement, fits_one_transaction, parse_script
from faberdb.ways_back import NO_SNAPSHOT, StepBack, choose_undo, step_undo

_NO_DOWNS: Final[Mapping[str, str]] = MappingProxyType({})
DRIFT: Final = "drift"  # the code of the finding on a schema that is not what the last release left


def make_plan(
    *,
    project: str,
    environment: str,
    database: str,
    tool: str,
    policy: Policy,
    revisions: Sequence[Revision],
    observed: Observation,
    checks: Sequence[str],
    skip_backup: bool = False,
    expected: str = "",
    reversal: Reversal | None = None,
    downs: Mapping[str, str] = _NO_DOWNS,
    change: str = "",
    requester: str = "",
    commit: str = "",
    lint: LintSection | None = None,
    second: SecondOpinion | None = None,
) -> Plan:
    """What would run in one environment now.

    A database that drifted from the schema `expected` (its fingerprint, "" where none is known) needs a plan that
    settles it: by a revision that adopts what is there, or by the `reversal`. `downs` has the script that takes a
    revision back, of those that bring one.

    Raises:
        HistoryRefused: the revisions on disk and the tracking table do not agree.
        UnreadableSql: a pending revision is not PostgreSQL.
    """
    waiting = pending(revisions, observed.tracked)
    adopted = {r.name for r in waiting if adopting(r) == observed.fingerprint}
    scripts = _scripts(waiting, adopted, reversal)
    statements = [s for _, script in scripts for s in script]
    judged = {
        (r.name, s.line): judge(s, policy, observed.row_counts) for r, script in scripts for s in script
    }
    findings = tuple(f for found in judged.values() for f in found)
    risk = worst([risk_of(s) for s in statements] + [f.risk for f in findings])
    told, advice = advise([r for r, script in scripts if script], judged, observed.live, lint, second)
    snapshot = bool(scripts) and takes_snapshot(policy, statements, skip=skip_backup)
    kinds = dict.fromkeys(adopted, StepKind.RECORD) | ({reversal.name: StepKind.REVERT} if reversal else {})
    backs = [_step_back(r, script, kinds, downs) for r, script in scripts]
    undo = choose_undo(
        backs, cannot_restore=observed.cannot_restore_beside or ("" if snapshot else NO_SNAPSHOT)
    )
    drifted = bool(expected) and expected != observed.fingerprint and bool(scripts) and not kinds
    return Plan(
        project=project,
        environment=environment,
        database=database,
        tool=tool,
        change=change,
        requester=requester,
        commit=commit,
        applied=tuple((t.name, t.checksum) for t in observed.tracked if t.standing is Standing.APPLIED),
        fingerprint=observed.fingerprint,
        steps=tuple(
            _step(r, script, policy, undo, kinds.get(r.name, StepKind.APPLY), back)
            for (r, script), back in zip(scripts, backs, strict=True)
        ),
        risk=risk,
        approval=_approval(policy, findings, risk),
        snapshot=snapshot,
        undo=undo,
        checks=tuple(checks),
        findings=told
        + (_undo_findings(policy, undo) or _proof_findings(policy, observed, snapshot=snapshot))
        + (_drift_findings(policy) if drifted else ()),
        notes=observed.notes + advice,
        proof=policy.proof.value if snapshot else "",
    )


def _scripts(
    waiting: Sequence[Revision], adopted: Collection[str], reversal: Reversal | None
) -> list[tuple[Revision, Sequence[Statement]]]:
    """What runs, in order; of what is only recorded, nothing."""
    found: list[tuple[Revision, Sequence[Statement]]] = [
        (r, () if r.name in adopted else parse_script(r.script, source=r.name)) for r in waiting
    ]
    if reversal is not None:
        found.insert(0, (_as_revision(reversal), parse_script(reversal.script, source=reversal.name)))
        _refuse_parts(reversal.name, found[0][1])
    return found


def takes_snapshot(policy: Policy, statements: Sequence[Statement], *, skip: bool = False) -> bool:
    """Whether a snapshot comes before the first step.

    Required and recommended both take one: a recommendation that nobody follows protects nobody. What is
    only recommended may be skipped. An optional environment takes one when a destructive statement's rule
    asks for it.
    """
    if policy.backup is BackupNeed.REQUIRED or (policy.backup is BackupNeed.RECOMMENDED and not skip):
        return True
    rules = [policy.destructive.get(h.value) for s in statements for h in s.hazards]
    return any(rule is not None and rule.require_backup for rule in rules)


def _approval(policy: Policy, findings: Sequence[Finding], risk: Risk) -> ApprovalLevel:
    enhanced = any(f.risk.weight >= Risk.HIGH.weight for f in findings) or risk.weight >= Risk.HIGH.weight
    if not policy.approval:
        return ApprovalLevel.NONE
    return ApprovalLevel.ENHANCED if enhanced else ApprovalLevel.STANDARD


def _undo_findings(policy: Policy, undo: Undo) -> tuple[Finding, ...]:
    """A protected environment does not run what it cannot take back for certain."""
    certain = undo.fallback if undo.way.in_place else undo.way
    if certain is UndoWay.NONE and policy.backup is BackupNeed.REQUIRED:
        return (Finding(code="no_undo", risk=Risk.CRITICAL, message=undo.why, blocks=True),)
    return ()


def _proof_findings(policy: Policy, observed: Observation, *, snapshot: bool) -> tuple[Finding, ...]:
    """What cannot be restored beside cannot be proven either, and that is not found out when the release runs."""
    if snapshot and policy.proof is SnapshotProof.RESTORE and observed.cannot_restore_beside:
        message = f"the snapshot cannot be proven by a restore: {observed.cannot_restore_beside}"
        return (Finding(code="no_proof", risk=Risk.CRITICAL, message=message, blocks=True),)
    return ()


def _drift_findings(policy: Policy) -> tuple[Finding, ...]:
    """What was changed past the releases may be what the plan's revisions rest on, or break."""
    message = "the schema is not what the last release left, and the plan does not settle that"
    return (Finding(code=DRIFT, risk=Risk.HIGH, message=message, blocks=policy.refuse_drift),)


def _refuse_parts(name: str, script: Sequence[Statement]) -> None:
    if not fits_one_transaction(script):
        raise Refused(
            f"{name} cannot run in one transaction.",
            why="A script that takes drift back is run as a whole or not at all.",
            next_step="take CONCURRENTLY and statements that control the transaction out of it",
        )


def _as_revision(reversal: Reversal) -> Revision:
    return Revision(name=reversal.name, checksum=reversal.checksum, script=reversal.script)


def _step_back(
    revision: Revision,
    script: Sequence[Statement],
    kinds: Mapping[str, StepKind],
    downs: Mapping[str, str],
) -> StepBack:
    return StepBack(
        revision=revision.name,
        script=tuple(script),
        down=downs.get(revision.name, ""),
        applied_by_tool=revision.name not in kinds,
    )


def _step(
    revision: Revision,
    script: Sequence[Statement],
    policy: Policy,
    undo: Undo,
    kind: StepKind,
    back: StepBack,
) -> Step:
    atomic = fits_one_transaction(script)
    return Step(
        kind=kind,
        revision=revision.name,
        checksum=revision.checksum,
        statements=tuple(_planned(s) for s in script),
        atomic=atomic,
        budget=policy.budget,
        undo=step_undo(back, undo, atomic=atomic),
        down=back.down,
    )


def _planned(statement: Statement) -> PlannedStatement:
    return PlannedStatement(
        text=statement.text,
        line=statement.line,
        verb=statement.verb,
        objects=statement.objects,
        lock=statement.lock,
        risk=risk_of(statement),
        transactional=statement.transactional,
        locks=statement.locks,
    )


def touched_relations(scripts: Mapping[str, Sequence[Statement]]) -> frozenset[str]:
    """Relations named by a statement with a hazard: those whose rows are worth counting."""
    return frozenset(o for script in scripts.values() for s in script if s.hazards for o in s.objects)
