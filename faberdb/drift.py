"""Drift: an environment's schema is not what the last release left; before the first, not what its revisions make."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from faberdb.catalog import Difference, Schema, Severity, describe, differences, on_common_ground
from faberdb.errors import DatabaseMissing, FaberError
from faberdb.ledger import Kind
from faberdb.ledger.schemas import kept_schema
from faberdb.markdown import code, table
from faberdb.release.record import Outcome, last_fingerprint, left_by, newest_touching
from faberdb.replay import replayed
from faberdb.target import Target

_SHOWN: Final = 200  # characters of a definition in the artifact


class Drift(Struct, frozen=True, kw_only=True):
    """What a look found."""

    project: str
    environment: str
    expected: str  # fingerprint, "" where there is nothing to compare with
    found: str  # fingerprint, "" where the schema was not looked at
    changed: bool  # since the look before: it appeared, went, or became another
    at_work: str = ""  # the release that changes the schema now, "" for none
    since: str = ""  # the release that it is compared with, "" for the last
    replayed: bool = False  # nothing was released yet: it is compared with what the revisions make
    why_not: str = ""  # why they could not be replayed
    differences: tuple[Difference, ...] = ()

    @property
    def drifted(self) -> bool:
        """Whether the schema is another than expected."""
        return bool(self.expected) and self.expected != self.found

    @property
    def text(self) -> str:
        """For people: one line, and below it one for each object that differs."""
        return "\n".join(
            [self.headline, *(f"  {d.severity.value:<6}  {describe(d)}" for d in self.differences)]
        )

    @property
    def headline(self) -> str:
        """For people, in one line."""
        if self.at_work:
            return f"{self.environment}: {self.at_work} is at work, so nothing is compared"
        if self.found and not self.expected:
            left = f"what {self.since or 'the last release'} left is not on record"
            return f"{self.environment}: {left}, so there is nothing to compare with"
        if not self.expected:
            why = f": {self.why_not}" if self.why_not else ""
            return f"{self.environment}: nothing was released yet, so there is nothing to compare with{why}"
        if not self.drifted and self.replayed:
            return (
                f"{self.environment}: as its revisions make it ({self.found[:12]}); nothing was released yet"
            )
        if not self.drifted:
            return f"{self.environment}: as {self.since or 'the last release'} left it ({self.found[:12]})"
        many = "1 difference" if len(self.differences) == 1 else f"{len(self.differences)} differences"
        what = " from what its revisions make" if self.replayed else ""
        return (
            f"{self.environment}: DRIFTED{what}, {many} ({self.found[:12]} instead of {self.expected[:12]})"
        )

    @property
    def markdown(self) -> str:
        """For Prefect's artifact: the line, and a table of what differs."""
        rows = [
            (d.severity.value, d.kind, code(d.object), code(d.before, _SHOWN), code(d.after, _SHOWN))
            for d in self.differences
        ]
        differing = table(("severity", "", "object", "expected", "found"), rows)
        return "\n".join([f"## {self.headline}", *(["", differing] if rows else []), ""])

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "project": self.project,
            "environment": self.environment,
            "drifted": self.drifted,
            "expected": self.expected,
            "found": self.found,
            "compared_with": "" if not self.expected else "revisions" if self.replayed else "release",
            "differences": [d.to_json() for d in self.differences],
        }


def compare(target: Target, *, since: str = "") -> Drift:
    """Compare the schema with what the last release left, or the one that is named.

    While a release is at work the schema is on its way, and nothing is called drift. Before the first release
    the schema is compared with what the applied revisions make.

    Raises:
        Refused: the named release is not this environment's, or left no schema.
    """
    standing = _standing(target)
    expected, at_work = standing
    if since:
        _, expected = left_by(target.ledger, target.name, since)
    nothing = Drift(
        project=target.project.name,
        environment=target.name,
        expected="",
        found="",
        changed=False,
        at_work=at_work,
    )
    if at_work:
        return nothing
    if not expected:
        return _against_revisions(target, nothing)
    schema, ignore = target.schema(), target.project.config.drift.ignore
    if _standing(target) != standing:  # a release began, or even landed, during the look
        return replace(nothing, at_work="a release")
    before = schema if schema.fingerprint == expected else kept_schema(target.ledger, expected)
    if before is None:
        return replace(nothing, found=schema.fingerprint, since=since)
    return _between(before, schema, ignore, replace(nothing, since=since))


def _against_revisions(target: Target, nothing: Drift) -> Drift:
    """For an environment that was never released to; a database that is not there yet has no drift."""
    try:
        schema = target.schema()
    except DatabaseMissing:
        return nothing
    try:
        expected = replayed(target, schema)
    except FaberError as error:
        return replace(nothing, why_not=error.reason)
    if _standing(target) != ("", ""):
        return replace(nothing, at_work="a release")
    return _between(expected, schema, target.project.config.drift.ignore, replace(nothing, replayed=True))


def _between(before: Schema, schema: Schema, ignore: Collection[str], nothing: Drift) -> Drift:
    found = differences(*on_common_ground(before, schema, ignore))
    ignored = not found  # all that differs is somebody else's
    return replace(
        nothing,
        expected=schema.fingerprint if ignored else before.fingerprint,
        found=schema.fingerprint,
        differences=tuple(sorted(found, key=lambda d: list(Severity).index(d.severity))),
    )


def look_for_drift(target: Target) -> Drift:
    """Compare the schema with what the last release left, and keep in the ledger when that changes."""
    drift = compare(target)
    if not drift.expected:
        return drift
    before = target.ledger.newest(Kind.DRIFT_FOUND, environment=target.name)
    now = drift.found if drift.drifted else ""
    changed = now != (before.body["fingerprint"] if before else "")
    if changed:
        target.ledger.append(
            Kind.DRIFT_FOUND,
            release=target.name,
            environment=target.name,
            body={"fingerprint": now, "expected": drift.expected},
        )
    return replace(drift, changed=changed)


def _standing(target: Target) -> tuple[str, str]:
    """The fingerprint to expect, and the release that is at work; "" for either that is not there."""
    newest = newest_touching(target.ledger, target.name)
    half_taken_back = newest is not None and newest.rollback_opened and newest.outcome is Outcome.RELEASED
    at_work = newest.id if newest is not None and (newest.open or half_taken_back) else ""
    return last_fingerprint(target.ledger, target.name) or "", at_work
