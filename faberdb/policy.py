"""What the configuration amounts to for one environment. The stricter of two sayings holds."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from faberdb.budget import Budget
from faberdb.config.model import FaberConfig, MigrationsSection
from faberdb.config.proving import SnapshotProof
from faberdb.config.safety import BackupNeed, DestructiveRule
from faberdb.errors import ConfigInvalid, Refused

__all__ = [
    "NO_TIGHTENING",
    "Autonomy",
    "BackupNeed",
    "DestructiveRule",
    "Policy",
    "Tightening",
    "asks",
    "policy_for",
    "refuse_skips",
    "tightened",
]


class Autonomy(StrEnum):
    """How much the pipeline does without asking."""

    DRY_RUN = "dry-run"  # plans, touches nothing
    ASSIST = "assist"  # asks before every environment
    GUARDED = "guarded"  # asks where the policy says
    AUTONOMOUS = "autonomous"  # asks only where the environment is protected


class Policy(Struct, frozen=True, kw_only=True):
    """The rules of one environment."""

    protected: bool
    approval: bool  # a person says yes to every release; always true when protected
    insists: bool  # the approval cannot be waived by an autonomy level
    auto_migrate: bool
    backup: BackupNeed
    health_before: bool
    health_after: bool
    validate_destructive: bool
    destructive: Mapping[str, DestructiveRule]  # by hazard
    approval_timeouts: Mapping[str, float]  # seconds, by approval level
    max_auto_rollback_attempts: int
    budget: Budget
    retention_days: int
    approvals: int = 1  # people who must say yes, where a person is asked
    approvers: tuple[str, ...] = ()  # the only ones who may; () is anybody but the requester
    insists_on_health: bool = False  # the looks at health cannot be skipped
    proof: SnapshotProof = SnapshotProof.MANIFEST  # of a release's snapshot, before its first statement
    templates: bool = False  # a snapshot of the idle database is a copy on its own server
    refuse_drift: bool = False  # no release on a schema that drifted, unless the plan settles it

    def approval_timeout_s(self, level: str) -> float:
        """How long a release waits for a person, in seconds."""
        return self.approval_timeouts["enhanced" if level == "enhanced" else "standard"]


class Tightening(Struct, frozen=True, kw_only=True):
    """What is asked of an environment beyond its configuration. What is left out changes nothing."""

    approvals: int | None = None  # a number asks for people even where the configuration asks for none
    approvers: tuple[str, ...] = ()
    approval_timeout_s: float | None = None
    snapshot: bool = False
    health: bool = False


NO_TIGHTENING: Final = Tightening()


def policy_for(config: FaberConfig, environment: str) -> Policy:
    """The policy of an environment that the configuration defines."""
    own = config.environments[environment]
    faber = config.faber_integration.environments.get(environment)
    safety = config.safety
    protected = environment in safety.protected_environments
    said = [own.require_approval, faber.require_approval if faber else None]
    first = environment == next(iter(config.environments))
    no_auto = False in (own.auto_migrate, faber.auto_migrate if faber else None)
    no_auto = no_auto or (first and not config.faber_integration.auto_deploy_dev)
    insists = protected or environment in (*safety.require_approval_for, *safety.approvals)
    rules = safety.destructive_operations
    return Policy(
        protected=protected,
        approval=insists or True in said or no_auto,
        insists=insists,
        auto_migrate=not no_auto,
        backup=_backup(config, environment, protected=protected),
        health_before=_health_before(config, environment, protected=protected),
        health_after=protected or (faber.health_check_after if faber else None) is not False,
        validate_destructive=protected
        or safety.validate_destructive_operations
        or bool(faber and faber.validate_safety),
        destructive={name: _with_backup(getattr(rules, name), config) for name in type(rules).model_fields},
        approval_timeouts=safety.approval_timeouts.model_dump(),
        max_auto_rollback_attempts=safety.max_auto_rollback_attempts,
        budget=_budget(config.migrations),
        retention_days=config.backup.retention_days,
        approvals=safety.approvals.get(environment, 1),
        approvers=tuple(n.strip() for n in safety.approvers.get(environment, ())),
        insists_on_health=protected,
        proof=safety.snapshot_proof.get(
            environment, SnapshotProof.RESTORE if protected else SnapshotProof.MANIFEST
        ),
        templates=environment in config.backup.templates
        and not protected
        and not _rehearses_elsewhere(config),
        refuse_drift=config.drift.refuse and (insists or True in said),
    )


def _rehearses_elsewhere(config: FaberConfig) -> bool:
    """A copy on the database's own server goes to no other."""
    return bool(config.rehearsal.connection_string_env) or config.rehearsal.server != "same"


def _budget(section: MigrationsSection) -> Budget:
    return Budget(
        lock_timeout_s=section.lock_timeout_seconds,
        statement_timeout_s=section.timeout_seconds,
        concurrent_timeout_s=section.concurrent_timeout_seconds,
        attempts=section.lock_attempts,
        patience_s=section.lock_patience_seconds,
        end_idle=section.end_idle_transactions_of,
        idle_s=section.idle_transaction_seconds,
    )


def tightened(policy: Policy, more: Tightening) -> Policy:
    """A policy with the stricter of two sayings wherever both speak; never a weaker one.

    Raises:
        ConfigInvalid: together they let nobody, or too few, say yes.
    """
    if more == NO_TIGHTENING:
        return policy
    asked = more.approvals is not None
    bound = more.approval_timeout_s
    found = replace(
        policy,
        approval=policy.approval or asked,
        insists=policy.insists or asked,
        approvals=max(policy.approvals, more.approvals or 1),
        approvers=_in_both(policy.approvers, more.approvers),
        approval_timeouts={
            level: seconds if bound is None else min(seconds, bound)
            for level, seconds in policy.approval_timeouts.items()
        },
        backup=BackupNeed.REQUIRED if more.snapshot else policy.backup,
        health_before=policy.health_before or more.health,
        health_after=policy.health_after or more.health,
        insists_on_health=policy.insists_on_health or more.health,
    )
    people = len({name.casefold() for name in found.approvers})
    if (policy.approvers or more.approvers) and people < found.approvals:
        raise ConfigInvalid(
            f"{found.approvals} must say yes here, and only {people} may.",
            why="The configuration and the Release Policy block say so together.",
            next_step="correct safety.approvals and safety.approvers, or the block in the Prefect UI",
        )
    return found


def _in_both(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    if not a or not b:
        return a or b
    wanted = {name.casefold() for name in b}
    return tuple(name for name in a if name.casefold() in wanted)


_STRICTNESS = (BackupNeed.OPTIONAL, BackupNeed.RECOMMENDED, BackupNeed.REQUIRED)


def _backup(config: FaberConfig, environment: str, *, protected: bool) -> BackupNeed:
    if protected:
        return BackupNeed.REQUIRED
    own = config.environments[environment].backup_before_migrate
    faber = config.faber_integration.environments.get(environment)
    said: list[BackupNeed] = []
    if environment in config.safety.backup_enforcement:
        said.append(config.safety.backup_enforcement[environment])
    if own is not None:
        said.append(BackupNeed.REQUIRED if own else BackupNeed.OPTIONAL)
    if faber is not None and faber.backup_required:
        said.append(BackupNeed.REQUIRED)
    default = BackupNeed.RECOMMENDED if environment == "staging" else BackupNeed.OPTIONAL
    return max(said or [default], key=_STRICTNESS.index)


def _health_before(config: FaberConfig, environment: str, *, protected: bool) -> bool:
    faber = config.faber_integration.environments.get(environment)
    said = faber.health_check_before if faber else None
    return protected or (config.safety.health_check_before_deploy if said is None else said)


def _with_backup(rule: DestructiveRule, config: FaberConfig) -> DestructiveRule:
    if config.backup.backup_before_destructive_ops:
        return rule
    return rule.model_copy(update={"require_backup": False})


def asks(policy: Policy, autonomy: Autonomy) -> bool:
    """Whether a release of this environment waits for a person at this level of autonomy."""
    if autonomy is Autonomy.ASSIST:
        return True
    if autonomy is Autonomy.AUTONOMOUS:
        return policy.insists
    return policy.approval


def refuse_skips(policy: Policy, environment: str, *, backup: bool, health: bool) -> None:
    """Refuse to skip what the policy requires.

    Raises:
        Refused: names the flag and the rule.
    """
    if backup and policy.backup is BackupNeed.REQUIRED:
        raise Refused(
            f"--skip-backup is refused: {environment} requires a snapshot.",
            why="Its undo is to restore that snapshot.",
            next_step=f"faber-db migrate {environment}",
        )
    if health and policy.insists_on_health:
        why = "is protected" if policy.protected else "requires it"
        raise Refused(
            f"--skip-health-check is refused: {environment} {why}.",
            next_step=f"faber-db migrate {environment}",
        )
