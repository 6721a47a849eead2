"""What the configuration amounts to for one environment. The stricter of two sayings holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from faberdb.config.model import FaberConfig
from faberdb.config.safety import BackupNeed, DestructiveRule
from faberdb.errors import Refused

__all__ = ["Autonomy", "BackupNeed", "DestructiveRule", "Policy", "asks", "policy_for", "refuse_skips"]


class Autonomy(StrEnum):
    """How much the pipeline does without asking."""

    DRY_RUN = "dry-run"  # plans, touches nothing
    ASSIST = "assist"  # asks before every environment
    GUARDED = "guarded"  # asks where the policy says
    AUTONOMOUS = "autonomous"  # asks only where the environment is protected


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
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
    statement_timeout_s: float
    lock_timeout_s: float
    retention_days: int
    approvals: int = 1  # people who must say yes, where a person is asked
    approvers: tuple[str, ...] = ()  # the only ones who may; () is anybody but the requester

    def approval_timeout_s(self, level: str) -> float:
        """How long a release waits for a person, in seconds."""
        return self.approval_timeouts["enhanced" if level == "enhanced" else "standard"]


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
    insists = protected or environment in safety.require_approval_for
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
        statement_timeout_s=config.migrations.timeout_seconds,
        lock_timeout_s=config.migrations.lock_timeout_seconds,
        retention_days=config.backup.retention_days,
    )


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
    if health and policy.protected:
        raise Refused(
            f"--skip-health-check is refused: {environment} is protected.",
            next_step=f"faber-db migrate {environment}",
        )
