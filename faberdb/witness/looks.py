"""One look of the witness inside the server, as it told it: what the session held and had read and written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from faberdb.witness.install import MARK

_ELAPSED: Final = re.compile(r"([\d.]+) s elapsed")
_REASONS: Final = (
    (1, "its persistence"),
    (2, "a new column's value"),
    (4, "a column's type"),
    (8, "its access method"),
)


class Counts(Struct, frozen=True, kw_only=True):
    """What the session did to one relation and has not yet reported."""

    scans: int
    rows_read: int
    rows_written: int


class Look(Struct, frozen=True, kw_only=True):
    """What it held at one moment."""

    at: float  # by the server's clock, seconds since 1970
    what: str  # the event, or "end" at the tool's own record
    tag: str
    transaction: str
    locks: frozenset[tuple[int, str]]  # relation's oid and mode, as SQL spells it
    names: Mapping[int, str]  # of those that are there now
    counts: Mapping[int, Counts]
    rewrite: tuple[int, str] | None  # relation's oid and the reason


class Elapsed(Struct, frozen=True, kw_only=True):
    """How long the statement ran that is in the doing."""

    seconds: float


def read_message(message: str, detail: str) -> Look | Elapsed | None:
    """What a message of the server says to us, None for every other."""
    if message.startswith(MARK):
        return look_of(message.removeprefix(MARK))
    if message == "EXECUTOR STATISTICS" and (found := _ELAPSED.search(detail)):
        return Elapsed(seconds=float(found[1]))
    return None


def spelled(mode: str) -> str:
    """As SQL spells the mode: `ShareRowExclusiveLock` is SHARE ROW EXCLUSIVE."""
    return " ".join(re.findall(r"[A-Z][a-z]+", mode.removesuffix("Lock"))).upper()


def look_of(text: str) -> Look:
    """A look from its JSON."""
    told: Mapping[str, Any] = json.loads(text)
    rewrite = told.get("rewrite")
    return Look(
        at=float(told["at"]),
        what=told["what"],
        tag=told["tag"],
        transaction=told["vx"] or "",
        locks=frozenset((oid, spelled(mode)) for oid, _, mode, _ in told["locks"]),
        names={oid: name for oid, name, *_ in told["locks"] if name},
        counts={
            oid: Counts(scans=counts[0], rows_read=counts[1], rows_written=counts[2])
            for oid, _, _, counts in told["locks"]
            if counts
        },
        rewrite=(rewrite[0], _reason(rewrite[1])) if rewrite else None,
    )


def _reason(bits: int) -> str:
    return " and ".join(word for bit, word in _REASONS if bits & bit) or "its storage"
