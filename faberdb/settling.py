"""Writing the file that settles a drift, after a copy has shown that its SQL does what it says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from faberdb.catalog import Schema
from faberdb.connection import connect
from faberdb.drift import compare
from faberdb.errors import EnvironmentBusy, Refused
from faberdb.ledger.schemas import kept_schema
from faberdb.settlement import FOLDER, adopting_header, reverting_header
from faberdb.synthesis import Left, Synthesis, prove, prove_from_nothing, read_places, synthesise
from faberdb.target import Target

_SHOWN = 5


class Settlement(Struct, frozen=True, kw_only=True):
    """A file that was written."""

    path: Path
    statements: int
    destroys: tuple[str, ...]  # what holds rows or values and goes when it is run


def adopt(target: Target) -> Settlement:
    """Write a revision that brings the others up to this environment's database.

    Raises:
        Refused: there is no drift, or its SQL could not be written or proven; nothing was written.
        EnvironmentBusy: a release is at work.
    """
    released, live = _both(target)
    way = _proven_forth(target, released, live)
    name = f"{datetime.now(UTC):%Y%m%d%H%M%S}_adopt_drift_of_{target.name}"
    newest = max((r.name for r in target.tool.revisions()), default="")
    if name < newest:
        raise Refused(
            f"The revision {name} would come before {newest}.",
            why="Revisions run in the order of their names, and this one stands on all that was released.",
            next_step="write the revision by hand, with this first line: "
            + adopting_header(live.fingerprint).strip(),
        )
    path = target.tool.write_revision(name, adopting_header(live.fingerprint) + way.script)
    return Settlement(path=path, statements=len(way.statements), destroys=way.destroys)


def revert(target: Target) -> Settlement:
    """Write a script that brings this environment's database back to what was released.

    Raises:
        Refused, EnvironmentBusy: as `adopt`.
    """
    released, live = _both(target, reverting=True)
    there, _ = _proven(target, released, live)
    folder = target.project.root / FOLDER / target.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%d%H%M%S}_{live.fingerprint[:12]}.sql"
    path.write_text(reverting_header(live.fingerprint, released.fingerprint) + there.script)
    return Settlement(path=path, statements=len(there.statements), destroys=there.destroys)


def _both(target: Target, *, reverting: bool = False) -> tuple[Schema, Schema]:
    """The schema as it was released, or as its revisions make it where nothing was, and as it is."""
    drift = compare(target)
    if drift.at_work:
        raise EnvironmentBusy(
            f"{target.name}: {drift.at_work} is at work, so nothing can be called drift.",
            next_step="try again when it has ended",
        )
    if not drift.drifted:
        raise Refused(f"There is nothing to settle. {drift.headline}.")
    if reverting and drift.replayed:
        raise Refused(
            f"Nothing was released to {target.name} yet, so no plan could take the drift back.",
            why="A plan only takes back what came after a release.",
            next_step=f"faber-db drift adopt {target.name}, or a revision of your own",
        )
    released = kept_schema(target.ledger, drift.expected)
    assert released is not None, "without it nothing is called drift"
    live = target.schema()
    if live.fingerprint != drift.found:
        raise EnvironmentBusy(f"The schema of {target.name} changes just now.", next_step="try again")
    return released, live


def _written(target: Target, before: Schema, after: Schema) -> Synthesis:
    with connect(target.dsn, purpose="settle") as conn:
        places = read_places(conn)
    return synthesise(before, after, login=target.dsn.user, places=places)


def _proven(target: Target, released: Schema, live: Schema) -> tuple[Synthesis, Synthesis]:
    """Back to what was released, and forth to what is."""
    to_released, to_live = _written(target, live, released), _written(target, released, live)
    _refuse_unwritten(target, (*to_released.unwritten, *to_live.unwritten), released, live)
    wrong = prove(
        target.dsn,
        there=to_released,
        back=to_live,
        start=live,
        end=released,
        read=target.read,
    )
    _refuse_wrong(target, wrong)
    return to_released, to_live


def _proven_forth(target: Target, released: Schema, live: Schema) -> Synthesis:
    """Forth to what is, also where nothing leads back from there: a label of an enum can come and not go."""
    if not _written(target, live, released).unwritten:
        return _proven(target, released, live)[1]
    to_live = _written(target, released, live)
    _refuse_unwritten(target, to_live.unwritten, released, live)
    _refuse_wrong(
        target, prove_from_nothing(target.dsn, way=to_live, start=released, end=live, read=target.read)
    )
    return to_live


def _refuse_unwritten(target: Target, unwritten: tuple[Left, ...], released: Schema, live: Schema) -> None:
    if unwritten:
        raise Refused(
            f"The SQL for {_counted(unwritten)} is not known; nothing was written.",
            why="; ".join(left.text for left in unwritten[:_SHOWN]),
            next_step="write the file by hand. First line of a revision that adopts: "
            f"{adopting_header(live.fingerprint).strip()}  Of {FOLDER}/{target.name}/NAME.sql that reverts: "
            f"{reverting_header(live.fingerprint, released.fingerprint).strip()}",
        )


def _refuse_wrong(target: Target, wrong: tuple[str, ...]) -> None:
    if wrong:
        raise Refused(
            "The SQL that was worked out does not lead there on a copy; nothing was written.",
            why="; ".join(wrong),
            next_step=f"faber-db drift {target.name}, and write it by hand",
        )


def _counted(unwritten: tuple[Left, ...]) -> str:
    return "one difference" if len(unwritten) == 1 else f"{len(unwritten)} differences"
