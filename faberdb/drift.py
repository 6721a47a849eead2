"""Drift: an environment's schema is not what the last release left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from faberdb.ledger import Kind
from faberdb.release.record import last_fingerprint, newest_release
from faberdb.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What a look found."""

    environment: str
    expected: str  # fingerprint, "" before the first release
    found: str
    changed: bool  # since the look before: it appeared, went, or became another

    @property
    def drifted(self) -> bool:
        """Whether the schema is another than expected."""
        return bool(self.expected) and self.expected != self.found

    @property
    def text(self) -> str:
        """For people."""
        if not self.expected:
            return f"{self.environment}: nothing was released yet, so there is nothing to compare with"
        if not self.drifted:
            return f"{self.environment}: as the last release left it ({self.found[:12]})"
        return f"{self.environment}: DRIFTED, {self.found[:12]} instead of {self.expected[:12]}"

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "environment": self.environment,
            "drifted": self.drifted,
            "expected": self.expected,
            "found": self.found,
        }


def look_for_drift(target: Target) -> Drift:
    """Compare the schema with what the last release left, and keep in the ledger when that changes.

    While a release is at work the schema is on its way, and nothing is called drift.
    """
    newest = newest_release(target.ledger, target.name)
    expected = last_fingerprint(target.ledger, target.name) or ""
    if newest is not None and newest.open and newest.touched:
        return Drift(environment=target.name, expected="", found="", changed=False)
    found = target.fingerprint()
    before = target.ledger.entries(environment=target.name, kind=Kind.DRIFT_FOUND, newest_first=True, limit=1)
    now = found if expected and found != expected else ""
    changed = now != (before[0].body["fingerprint"] if before else "")
    if changed:
        target.ledger.append(
            Kind.DRIFT_FOUND,
            release=target.name,
            environment=target.name,
            body={"fingerprint": now, "expected": expected},
        )
    return Drift(environment=target.name, expected=expected, found=found, changed=changed)
