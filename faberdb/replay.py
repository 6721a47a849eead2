"""What the applied revisions should have made, for an environment that faber-db has not released to yet.

They are replayed in a database of their own on the same server, which alone prints expressions as the live one
does, and has its extensions and roles. The outcome is kept in the ledger, by their checksums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from faberdb.canonical import digest_of
from faberdb.catalog import FORMAT, Schema
from faberdb.connection import Connection, connect, flushed_together
from faberdb.databases import scratch_database
from faberdb.errors import HistoryRefused, Refused
from faberdb.history import read_history
from faberdb.ledger import Kind
from faberdb.ledger.schemas import keep_schema, kept_schema
from faberdb.progress import silent
from faberdb.reach import refuse_beyond
from faberdb.revision import Revision
from faberdb.target import Target

_OWNER: Final = "owner of "


def replayed(target: Target, live: Schema) -> Schema:
    """The schema that the environment's applied revisions make, its objects owned as the live ones are.

    Whoever replays owns it all; whom it should belong to, revisions do not say.

    Args:
        target: the environment; its database is only read.
        live: its schema.

    Raises:
        Refused: no revision is applied, or not as it stands on disk; or one reaches beyond its database.
        FaberError: they could not be run.
    """
    with connect(target.dsn, purpose="replay", read_only=True) as conn:
        applied = _applied(target, conn)
        made = _known(target, conn, applied)
    expected = _owned_as(live, made)
    keep_schema(target.ledger, expected)
    return expected


def _applied(target: Target, conn: Connection) -> list[Revision]:
    on_disk = {r.name: r for r in target.tool.revisions()}
    history = read_history(tuple(on_disk.values()), target.tool.tracked(conn))
    unsound = [*(t.name for t in history.failed), *history.edited, *history.missing]
    if unsound:
        raise HistoryRefused(
            f"The revision {unsound[0]!r} is not applied as it stands on disk.",
            next_step=f"faber-db status {target.name}",
        )
    if not history.applied:
        raise Refused("No revision is applied.", next_step=f"faber-db db-create {target.name}")
    return [on_disk[name] for name in history.applied_names]


def _known(target: Target, conn: Connection, applied: Sequence[Revision]) -> Schema:
    """What they make, replayed unless that is on record."""
    key = digest_of(
        {
            "revisions": [[r.name, r.checksum] for r in applied],
            "server": conn.info.server_version,
            "format": FORMAT,
            "column_order": target.project.config.drift.column_order,
        }
    )
    found = target.ledger.newest(Kind.REVISIONS_REPLAYED, release=key)
    made = kept_schema(target.ledger, found.body["fingerprint"]) if found else None
    if made is None:
        refuse_beyond(
            ((r.name, r.script) for r in applied),
            hosting=target.environment.hosting,
            what="The revisions are not replayed",
        )
        made = _replay(target, applied)
        keep_schema(target.ledger, made)
        body = {"fingerprint": made.fingerprint, "revisions": len(applied)}
        target.ledger.append(Kind.REVISIONS_REPLAYED, release=key, environment=target.name, body=body)
    return made


def _replay(target: Target, revisions: Sequence[Revision]) -> Schema:
    with (
        scratch_database(target.dsn, "replay") as scratch,
        connect(scratch, purpose="replay") as conn,
        flushed_together(conn),
    ):
        target.tool.ensure_tracking(conn)
        for revision in revisions:
            target.tool.apply(conn, revision, target.environment.policy.budget, silent)
        return target.read(conn)


def _owned_as(live: Schema, made: Schema) -> Schema:
    owners = {k: v for k, v in live.objects.items() if k.startswith(_OWNER) and k in made.objects}
    return Schema(objects={**made.objects, **owners})
