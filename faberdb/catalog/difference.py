"""What lies between two schemas, object by object, and how to say it in one line.

Refuses to judge: whether a difference is drift, a plan's effect or damage is the caller's question.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct

from faberdb.catalog.schema import KINDS, Schema, kind_of

_SAID: Final = {"comment on", "statistics"}
_ACCESS: Final = {"owner of", "grants on", "default privileges"}
_GUARDS: Final = {"policy"}
_RULES: Final = {"constraint", "domain constraint", "trigger", "rule", "event trigger"} | _GUARDS
_RANK: Final = {kind: rank for rank, kind in enumerate(KINDS)}
_SHOWN: Final = 90  # characters of a definition in a line
_CONTEXT: Final = 20  # characters kept before the place where two long definitions part


class Severity(StrEnum):
    """What a difference may do to those who use the database."""

    HIGH = "high"  # what they read, write or call is gone or of another type, or a guard is off
    MEDIUM = "medium"  # it answers otherwise: refuses more, lets more in, is slower
    LOW = "low"  # something more is there
    INFO = "info"  # said about it only


class Difference(Struct, frozen=True, kw_only=True):
    """One object that is not the same in two schemas."""

    kind: Literal["added", "removed", "changed"]
    object: str  # its name, such as "column public.orders.id"
    before: str | None  # its definition; None exactly when it was added
    after: str | None  # likewise; None exactly when it was removed

    @property
    def severity(self) -> Severity:
        """By its kind and what became of it."""
        kind = kind_of(self.object)
        if kind in _SAID:
            return Severity.INFO
        if self.kind == "removed":
            return (
                Severity.MEDIUM if kind in _RULES - _GUARDS | {"index", "column order of"} else Severity.HIGH
            )
        if self.kind == "added":
            return Severity.MEDIUM if kind in _RULES | _ACCESS else Severity.LOW
        retyped = kind in {"column", "attribute"} and _first(self.before) != _first(self.after)
        return Severity.HIGH if retyped or kind in _GUARDS else Severity.MEDIUM

    def to_json(self) -> dict[str, str | None]:
        """For programs."""
        return {
            "severity": self.severity.value,
            "kind": self.kind,
            "object": self.object,
            "before": self.before,
            "after": self.after,
        }


def differences(before: Schema, after: Schema) -> tuple[Difference, ...]:
    """Every difference, schemas and tables first, then by name. Empty when the fingerprints are equal."""
    if before.fingerprint == after.fingerprint:
        return ()
    names = {n for n, _ in before.objects.items() ^ after.objects.items()}
    ordered = sorted(names, key=lambda n: (_RANK.get(kind_of(n), len(_RANK)), n))
    return tuple(_difference(n, before.objects.get(n), after.objects.get(n)) for n in ordered)


def _difference(name: str, before: str | None, after: str | None) -> Difference:
    kind: Literal["added", "removed", "changed"] = "changed"
    if before is None:
        kind = "added"
    elif after is None:
        kind = "removed"
    return Difference(kind=kind, object=name, before=before, after=after)


def describe(difference: Difference) -> str:
    """One line, such as `changed column public.orders.total: integer -> bigint`."""
    head = f"{difference.kind} {difference.object}"
    before, after = _flat(difference.before), _flat(difference.after)
    if difference.kind != "changed":
        return f"{head}: {_cut(before or after)}" if before or after else head
    if before == after:
        return f"{head}: only white space differs"
    if max(len(before), len(after)) > _SHOWN:
        start = max(_same_until(before, after) - _CONTEXT, 0)
        lead = "…" if start else ""
        before, after = lead + before[start:], lead + after[start:]
    return f"{head}: {_cut(before)} -> {_cut(after)}"


def _first(definition: str | None) -> str:
    """The type that a column's definition begins with, as far as that shows a change of it."""
    return re.split(r" (?:COLLATE|NOT NULL|DEFAULT|GENERATED|STORAGE|COMPRESSION) ?", definition or "")[0]


def _same_until(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
