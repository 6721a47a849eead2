"""How dangerous a statement is, and what the project's policy says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from faberdb.policy import Policy
from faberdb.statements import Hazard, Statement


class Risk(StrEnum):
    """Four levels, in the words of the FABER-DB plugin."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def weight(self) -> int:
        """For comparing levels; larger is worse."""
        return list(Risk).index(self)


CONFIRMATION_PHRASE: Final = "proceed-with-destructive-changes"

_LEVEL: Final[Mapping[Hazard, Risk]] = {
    Hazard.DROP_DATABASE: Risk.CRITICAL,
    Hazard.DROP_SCHEMA: Risk.CRITICAL,
    Hazard.DROP_TABLE: Risk.HIGH,
    Hazard.TRUNCATE: Risk.HIGH,
    Hazard.DELETE_WITHOUT_WHERE: Risk.HIGH,
    Hazard.UPDATE_WITHOUT_WHERE: Risk.HIGH,
}


class Finding(Struct, frozen=True, kw_only=True):
    """Something an approver should know about one statement."""

    code: str  # the hazard's name, or the rule's
    risk: Risk
    message: str
    blocks: bool = False  # policy forbids it: no plan with it may run
    revision: str = ""  # where it is
    line: int = 0  # in the revision's script, from 1; 0 where it is about no line
    rewrite: str = ""  # SQL that does the same and hurts less
    ignored: str = ""  # the reason that the script gives for leaving it so


def risk_of(statement: Statement) -> Risk:
    """The worst level among a statement's hazards; an additive statement is low."""
    levels = [_LEVEL.get(h, Risk.MEDIUM) for h in statement.hazards]
    if statement.opaque and not levels:
        return Risk.MEDIUM
    return max(levels, key=lambda r: r.weight, default=Risk.LOW)


def judge(statement: Statement, policy: Policy, row_counts: Mapping[str, int]) -> tuple[Finding, ...]:
    """What the policy says of each hazard of a statement.

    Args:
        statement: as classified by PostgreSQL's grammar.
        policy: the environment's.
        row_counts: rows now in the relations it names, where they exist.
    """
    if not policy.validate_destructive:
        return ()
    return tuple(_judge_hazard(statement, h, policy, row_counts) for h in statement.hazards)


def _judge_hazard(
    statement: Statement, hazard: Hazard, policy: Policy, row_counts: Mapping[str, int]
) -> Finding:
    level = _LEVEL.get(hazard, Risk.MEDIUM)
    touched = {name: row_counts[name] for name in statement.objects if name in row_counts}
    what = f"{hazard.value.replace('_', ' ')}: {', '.join(statement.objects) or statement.verb}"
    if touched:
        what += " (" + ", ".join(f"{count:,} rows in {name}" for name, count in touched.items()) + ")"
    rule = policy.destructive.get(hazard.value)
    if rule is None:
        return Finding(code=hazard.value, risk=level, message=what)
    if not rule.allowed:
        reason = rule.block_reason or "the safety policy does not allow it"
        return Finding(code=hazard.value, risk=Risk.CRITICAL, message=f"{what}; {reason}", blocks=True)
    over = rule.row_threshold is not None and sum(touched.values()) > rule.row_threshold
    if over:
        what += f"; more than the policy's threshold of {rule.row_threshold:,} rows"
    if rule.approval == "enhanced" or over:
        level = max(level, Risk.HIGH, key=lambda r: r.weight)
    return Finding(code=hazard.value, risk=level, message=what)


def worst(risks: Sequence[Risk]) -> Risk:
    """The highest of several levels; low when there are none."""
    return max(risks, key=lambda r: r.weight, default=Risk.LOW)
