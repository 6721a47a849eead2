"""Drift: an environment's schema is not what the last release left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from faberdb.ledger import Kind
from faberdb.release.record import Outcome, last_fingerprint, newest_touching
from faberdb.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What a look found."""

    project: str
    environment: str
    expected: str  # fingerprint, "" before the first release
    found: str
    changed: bool  # since the look before: it appeared, went, or became another
    at_work: str = ""  # the release that changes the schema now, "" for none

    @property
    def drifted(self) -> bool:
        """Whether the schema is another than expected."""
        return bool(self.expected) and self.expected != self.found

    @property
    def text(self) -> str:
        """For people."""
        if self.at_work:
            return f"{self.environment}: {self.at_work} is at work, so nothing is compared"
        if not self.expected:
            return f"{self.environment}: nothing was released yet, so there is nothing to compare with"
        if not self.drifted:
            return f"{self.environment}: as the last release left it ({self.found[:12]})"
        return f"{self.environment}: DRIFTED, {self.found[:12]} instead of {self.expected[:12]}"

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "project": self.project,
            "environment": self.environment,
            "drifted": self.drifted,
            "expected": self.expected,
            "found": self.found,
        }


def look_for_drift(target: Target) -> Drift:
    """Compare the schema with what the last release left, and keep in the ledger when that changes.

    While a release is at work the schema is on its way, and nothing is called drift. Before the first release
    the database is not even looked at: it may not be there yet.
    """
    expected, at_work = _standing(target)
    nothing = Drift(
        project=target.project.name,
        environment=target.name,
        expected="",
        found="",
        changed=False,
        at_work=at_work,
    )
    if at_work or not expected:
        return nothing
    found = target.fingerprint()
    if _standing(target) != (expected, ""):  # a release began, or even landed, during the look
        return replace(nothing, at_work="a release")
    before = target.ledger.entries(environment=target.name, kind=Kind.DRIFT_FOUND, newest_first=True, limit=1)
    now = found if found != expected else ""
    changed = now != (before[0].body["fingerprint"] if before else "")
    if changed:
        target.ledger.append(
            Kind.DRIFT_FOUND,
            release=target.name,
            environment=target.name,
            body={"fingerprint": now, "expected": expected},
        )
    return replace(nothing, expected=expected, found=found, changed=changed)


def _standing(target: Target) -> tuple[str, str]:
    """The fingerprint to expect, and the release that is at work; "" for either that is not there."""
    newest = newest_touching(target.ledger, target.name)
    half_taken_back = newest is not None and newest.rollback_opened and newest.outcome is Outcome.RELEASED
    at_work = newest.id if newest is not None and (newest.open or half_taken_back) else ""
    return last_fingerprint(target.ledger, target.name) or "", at_work
