"""How drift is settled: a revision that adopts it, or a script that takes it back in one environment.

Both are files that people read and commit. Their first line names schemas by fingerprint, so that each runs only
where it is meant:

    -- faber-db: adopts FINGERPRINT            a revision; a database that has this schema already only records it
    -- faber-db: reverts FINGERPRINT to FINGERPRINT      drift/ENVIRONMENT/NAME.sql; run only on the first schema
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from faberdb.revision import Revision

FOLDER: Final = "drift"  # in the project's root, a folder per environment
_ADOPTS: Final = re.compile(r"\A-- faber-db: adopts ([0-9a-f]{64})\s*$", re.MULTILINE)
_REVERTS: Final = re.compile(r"\A-- faber-db: reverts ([0-9a-f]{64}) to ([0-9a-f]{64})\s*$", re.MULTILINE)


class Reversal(Struct, frozen=True, kw_only=True):
    """A script that brings one environment back to what was released there."""

    name: str  # drift/ENVIRONMENT/NAME
    checksum: str  # SHA-256 of the file
    script: str
    found: str  # the schema's fingerprint that it is for
    expected: str  # the fingerprint that it leaves


def adopting(revision: Revision) -> str:
    """The fingerprint of the schema that holds a revision's outcome already; "" for an ordinary revision."""
    found = _ADOPTS.search(revision.script)
    return found.group(1) if found else ""


def adopting_header(fingerprint: str) -> str:
    """The first line of a revision that adopts a drift."""
    return f"-- faber-db: adopts {fingerprint}\n"


def reverting_header(found: str, expected: str) -> str:
    """The first line of a script that takes a drift back."""
    return f"-- faber-db: reverts {found} to {expected}\n"


def find_reversal(root: Path, environment: str, *, found: str, expected: str) -> Reversal | None:
    """The script that leads from the schema that is there to the one that was released, or None."""
    for reversal in _reversals(root, environment):
        if (reversal.found, reversal.expected) == (found, expected):
            return reversal
    return None


def named_reversal(root: Path, environment: str, name: str) -> Reversal | None:
    """The script of a plan's step, or None where it is gone."""
    return next((r for r in _reversals(root, environment) if r.name == name), None)


def _reversals(root: Path, environment: str) -> Sequence[Reversal]:
    read = []
    for file in sorted((root / FOLDER / environment).glob("*.sql")):
        raw = file.read_bytes()
        script = raw.decode()
        header = _REVERTS.search(script)
        if header is not None:
            read.append(
                Reversal(
                    name=f"{FOLDER}/{environment}/{file.stem}",
                    checksum=hashlib.sha256(raw).hexdigest(),
                    script=script,
                    found=header.group(1),
                    expected=header.group(2),
                )
            )
    return read
