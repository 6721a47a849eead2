"""From a wish to an open release with a frozen plan."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from faberdb.checks import runnable
from faberdb.errors import BlockedByPolicy, EnvironmentBusy, Refused
from faberdb.history import pending
from faberdb.ledger import Kind
from faberdb.lint.squawk import SecondOpinion, ask_squawk
from faberdb.observation import observe
from faberdb.plan import Plan, plan_to_json
from faberdb.planner import DRIFT, make_plan, touched_relations
from faberdb.release.lock import lock_holder
from faberdb.release.proving import drop_ready_copy
from faberdb.release.record import Outcome, Release, comparable_fingerprint, newest_release, read_release
from faberdb.settlement import find_reversal
from faberdb.statements import parse_script
from faberdb.target import Target
from faberdb.tools.protocol import MigrationTool, Reversible


def plan_target(target: Target, *, change: str = "", requester: str = "", skip_backup: bool = False) -> Plan:
    """What would run in the environment now. Writes nothing, neither there nor in the ledger."""
    revisions = target.tool.revisions()
    ordered = target.project.config.drift.column_order
    hosting = target.environment.hosting
    seen = observe(target.dsn, target.tool, column_order=ordered, hosting=hosting)
    waiting = {r.name: r.script for r in pending(revisions, seen.tracked)}
    scripts = {name: parse_script(script, source=name) for name, script in waiting.items()}
    expected = comparable_fingerprint(
        target.ledger, target.name, found=seen.schema, ignore=target.project.config.drift.ignore
    )
    reversal = find_reversal(target.project.root, target.name, found=seen.fingerprint, expected=expected)
    if reversal is not None:
        scripts[reversal.name] = parse_script(reversal.script, source=reversal.name)
    if scripts:
        named = {o for script in scripts.values() for s in script for o in s.objects}
        seen = observe(
            target.dsn,
            target.tool,
            count=touched_relations(scripts),
            touched=named,
            column_order=ordered,
            hosting=hosting,
        )
    config = target.project.config
    second = ask_squawk(waiting) if config.lint.squawk else SecondOpinion(opinions={})
    return make_plan(
        project=target.project.name,
        environment=target.name,
        database=target.dsn.database,
        tool=target.tool.name,
        policy=target.environment.policy,
        revisions=revisions,
        observed=seen,
        checks=[c.name for c in runnable(target.project.checks_for(target.name))],
        skip_backup=skip_backup,
        expected=expected,
        reversal=reversal,
        downs=down_scripts(target.tool, waiting),
        change=change,
        requester=requester,
        commit=target.project.commit(),
        lint=config.lint,
        second=second,
    )


def down_scripts(tool: MigrationTool, names: Iterable[str]) -> dict[str, str]:
    """The scripts that take revisions back, of those that bring one."""
    if not isinstance(tool, Reversible):
        return {}
    found = {name: tool.down_script(name) for name in names}
    return {name: script for name, script in found.items() if script.strip()}


def unfinished_release(target: Target) -> Release | None:
    """The environment's release that began to change the database and has not ended, if there is one."""
    newest = newest_release(target.ledger, target.name)
    return newest if newest is not None and newest.open and newest.touched else None


def find_or_plan(
    target: Target, *, change: str = "", requester: str = "", skip_backup: bool = False
) -> Release | Plan:
    """The release that is at work, or what would run now; one that begins while this looks is found, too.

    Raises:
        Refused: there is none, and nothing can be planned.
    """
    unfinished = unfinished_release(target)
    if unfinished is not None:
        return unfinished
    try:
        return plan_target(target, change=change, requester=requester, skip_backup=skip_backup)
    except Refused:  # a revision that another run is just applying looks like one that never ended
        unfinished = unfinished_release(target)
        if unfinished is None:
            raise
        return unfinished


def open_release(target: Target, plan: Plan, *, run: str = "") -> Release:
    """Write the intention to release a plan, or find the release that already carries it.

    A release that began to change the database is continued, whatever plan is offered: it has to end
    before another may start. One that did nothing yet is continued if it has the same digest and replaced
    otherwise.

    Raises:
        BlockedByPolicy: the plan has a statement that the safety policy forbids.
        EnvironmentBusy: another release of this environment is at work.
    """
    with opening(target):
        newest = newest_release(target.ledger, target.name)
        if newest is not None and newest.open and newest.touched:
            return newest
        refuse_blocked(plan)  # only now: half a release that another run is at looks like drift
        if newest is not None and newest.open:
            if newest.digest == plan.digest and bool(newest.requester) >= bool(plan.requester):
                return newest
            supersede(target, newest, f"a plan {plan.digest[:12]}")
        return _open(target, plan, run)


def refuse_blocked(plan: Plan) -> None:
    """Refuse a plan with a statement that the safety policy forbids."""
    if any(f.code == DRIFT for f in plan.blocked):
        raise BlockedByPolicy(
            f"{plan.environment} drifted: its schema is not what the last release left. Nothing was run.",
            why="What was changed past the releases may be what the revisions rest on, or what they break.",
            next_step=f"faber-db drift {plan.environment}; then settle it: faber-db drift adopt or revert"
            f" {plan.environment}",
        )
    if plan.blocked:
        raise BlockedByPolicy(
            f"The safety policy forbids this plan in {plan.environment}.",
            why="; ".join(f.message for f in plan.blocked),
            next_step="change the revision, or the policy in faber-db.toml under [safety]",
        )


def release_id(kind: str, plan: Plan) -> str:
    """An id that sorts by time and that nobody else has."""
    now = datetime.now(UTC)
    return f"{kind}-{plan.environment}-{now:%Y%m%dT%H%M%S}-{plan.digest[:6]}{secrets.token_hex(2)}"


def _open(target: Target, plan: Plan, run: str) -> Release:
    id_ = release_id("rel", plan)
    target.ledger.append(
        Kind.RELEASE_OPENED,
        release=id_,
        environment=plan.environment,
        actor=plan.requester or "faber-db",
        body={
            "plan": plan_to_json(plan),
            "digest": plan.digest,
            "requester": plan.requester,
            "run": run,
        },
    )
    return read_release(target.ledger, id_)


@contextmanager
def opening(target: Target) -> Iterator[None]:
    """One release of an environment is opened at a time."""
    key = f"{target.project.name}/{target.name}"
    with target.ledger.conn.transaction():
        target.ledger.conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7))", (key,))
        yield


def supersede(target: Target, older: Release, by: str) -> None:
    """Close a release that did nothing yet, because another is wanted.

    Raises:
        EnvironmentBusy: a run works on it.
    """
    holder = lock_holder(target.dsn)
    if holder:
        raise EnvironmentBusy(
            f"Release {older.id} is at work on {older.environment}.",
            why=f"The release lock is held by {holder}.",
            next_step="wait for it to end, then run the same command again",
        )
    close_release(target, older, Outcome.SUPERSEDED, reason=f"replaced by {by}")


def close_release(target: Target, release: Release, outcome: Outcome, **facts: object) -> None:
    """Write the end of a release. One that ended stays so, except that a release can be taken back."""
    record = read_release(target.ledger, release.id)
    drop_ready_copy(target, record)
    now = record.outcome
    if now is None or (outcome is Outcome.ROLLED_BACK and now in {Outcome.RELEASED, Outcome.FAILED}):
        target.ledger.append(
            Kind.RELEASE_CLOSED,
            release=release.id,
            environment=release.environment,
            body={"outcome": outcome.value, **facts},
        )
