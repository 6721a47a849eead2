"""The copy that a plan is rehearsed on: of what, where, made and dropped again.

With rows it is a restored and compared snapshot, which also proves that the environment's snapshots restore;
without, it is the schema as it is now, with the planner's statistics where the servers can.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from faberdb.connection import connect
from faberdb.credentials import look_up
from faberdb.database_properties import DatabaseProperties, apply_properties, read_properties
from faberdb.databases import drop_database, ensure_database, exists, fitting_name, maintenance
from faberdb.dsn import Dsn, parse_dsn
from faberdb.embedded import start_server
from faberdb.errors import Refused, VariableMissing
from faberdb.plan import Plan
from faberdb.progress import Progress
from faberdb.reach import refuse_beyond
from faberdb.server_errors import explained
from faberdb.snapshot import programs
from faberdb.snapshot.mark import Mark, read_mark, set_mark
from faberdb.snapshot.restore import restore_beside
from faberdb.swap import list_set_aside, swap_in
from faberdb.target import Target

_STATISTICS_FROM: Final = 180000
_WRITES: Final = {"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE"}
_SCHEMA_MARK: Final = "the schema alone"


class CopyKind(StrEnum):
    """What a copy holds."""

    DATA = "data"
    SCHEMA = "schema"


class Copy(Struct, frozen=True, kw_only=True):
    """A database to try a plan on."""

    dsn: Dsn
    kind: CopyKind
    server: str  # "same", "embedded" or the variable that names it
    made_s: float


def copy_kind(target: Target) -> CopyKind:
    """What the configuration and the database's size ask for."""
    section = target.project.config.rehearsal
    if section.copy_of != "auto":
        return CopyKind(section.copy_of)
    with connect(target.dsn, purpose="rehearse") as conn:
        row = conn.execute("SELECT pg_database_size(current_database())").fetchone()
    size = int(row[0]) if row else 0
    return CopyKind.DATA if size <= section.max_data_mib << 20 else CopyKind.SCHEMA


def require_contained(target: Target, plan: Plan) -> None:
    """Refuse to try a plan on a copy where it would not stay in there.

    Raises:
        Refused: a statement changes the live database's server, or what foreign tables stand for.
    """
    place, live = rehearsal_server(target)[1], target.dsn
    if (place.host, place.port) == (live.host, live.port):
        scripts = [(s.revision, "\n;\n".join([*(p.text for p in s.statements), s.down])) for s in plan.steps]
        refuse_beyond(scripts, hosting=target.environment.hosting, what="The plan is not rehearsed")
    written = {o: s for step in plan.steps for s in step.statements if s.verb in _WRITES for o in s.objects}
    with connect(live, purpose="rehearse", read_only=True) as conn:
        for name in sorted(written):
            foreign = conn.execute(
                "SELECT FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'f'", (name,)
            ).fetchone()
            if foreign is not None:
                raise Refused(
                    f"The plan is not rehearsed: {written[name].verb} writes to the foreign table {name}.",
                    why="A copy has the same foreign server, so that its rows would be changed for real.",
                    next_step="take that statement out of the revision, and run it by hand",
                )


@contextmanager
def made_copy(target: Target, plan: Plan, snapshot: str, progress: Progress) -> Iterator[Copy]:
    """Make it, and drop it at the end whatever happens.

    Args:
        target: whose.
        plan: what is to be tried; it names the copy.
        snapshot: what is restored; "" copies the schema alone.
        progress: told of each part.

    Raises:
        SnapshotUnusable, CommandFailed, Refused: why it could not be made.
    """
    server, place = rehearsal_server(target)
    dsn = place.with_database(fitting_name(plan.database, f"_rehearsal_{plan.digest[:8]}"))
    progress(f"making a copy of {plan.database}")
    began = time.monotonic()
    if snapshot:
        timeout_s = target.project.config.backup.timeout_seconds
        restore_beside(target.store, snapshot, dsn, live=target.dsn, progress=progress, timeout_s=timeout_s)
    else:
        _copy_schema(target, dsn, same=server == "same", progress=progress)
    try:
        yield Copy(
            dsn=dsn,
            kind=CopyKind.DATA if snapshot else CopyKind.SCHEMA,
            server=server,
            made_s=time.monotonic() - began,
        )
    finally:
        drop_database(dsn)


def take_back(target: Target, copy: Copy, snapshot: str, progress: Progress) -> None:
    """Undo what ran on the copy as a rollback would: restore the snapshot beside it and exchange the names.

    Raises:
        FaberError: what a rollback of the real database would then raise too.
    """
    back = copy.dsn.with_database(fitting_name(copy.dsn.database, "_back"))
    aside = copy.dsn.with_database(fitting_name(copy.dsn.database, "_aside"))
    if aside.database in list_set_aside(copy.dsn):  # a rehearsal died here
        drop_database(aside)
    timeout_s = target.project.config.backup.timeout_seconds
    try:
        restore_beside(target.store, snapshot, back, live=target.dsn, progress=progress, timeout_s=timeout_s)
        swap_in(copy.dsn, restored=back.database, aside=aside.database, progress=progress)
    finally:
        drop_database(back)
        drop_database(aside)


def rehearsal_server(target: Target) -> tuple[str, Dsn]:
    """Where copies are made: "same", "embedded" or the variable that names it, and its address."""
    section = target.project.config.rehearsal
    variable = section.connection_string_env
    if variable:
        value = look_up(variable, target.project.root)
        if not value:
            raise VariableMissing(
                f"{variable} is not set, and rehearsals run on the server that it names.",
                why="It is neither in the environment nor in .env beside the configuration.",
                next_step=f"export {variable}=postgresql://USER:PASSWORD@HOST:5432/postgres",
            )
        named = parse_dsn(value, source=variable)
        return variable, replace(named, schema=target.dsn.schema)
    if section.server == "embedded":
        embedded = start_server(target.project.home)
        return "embedded", replace(embedded, schema=target.dsn.schema)
    return "same", target.dsn


def _copy_schema(target: Target, dsn: Dsn, *, same: bool, progress: Progress) -> None:
    timeout_s = target.project.config.backup.timeout_seconds
    with maintenance(target.dsn, purpose="rehearse") as conn:
        properties = read_properties(conn, target.dsn.database)
        theirs = conn.info.server_version
    version = _create(dsn, properties, same=same)
    statistics = min(version, theirs) >= _STATISTICS_FROM
    with tempfile.TemporaryDirectory(prefix="faber-db-") as folder:
        dump = Path(folder) / "dump"
        programs.dump_schema(target.dsn, dump, timeout_s=timeout_s, statistics=statistics)
        programs.restore(dump, dsn, server_version=version, with_roles=same, timeout_s=timeout_s)
    if same:
        with maintenance(dsn, purpose="rehearse") as conn, explained("The copy's settings were refused."):
            apply_properties(conn, dsn.database, replace(properties, connection_limit=-1))
    progress(f"copied the schema{' and its statistics' if statistics else ''} into {dsn.database}")


def _create(dsn: Dsn, properties: DatabaseProperties, *, same: bool) -> int:
    """An empty database that says of itself that it is ours; returns the server's version."""
    with maintenance(dsn, purpose="rehearse") as conn:
        version = conn.info.server_version
        there, mark = exists(conn, dsn.database), read_mark(conn, dsn.database)
    if there and (mark is None or mark.done):
        raise Refused(
            f"The server has a database {dsn.database!r} already, and no rehearsal made it; it is left alone.",
            next_step="rename that database, then run the same command again",
        )
    drop_database(dsn)
    like = properties if same else replace(properties, tablespace="pg_default")
    ensure_database(dsn, owner=properties.owner if same else None, like=like)
    with maintenance(dsn, purpose="rehearse") as conn, explained("The copy could not be marked."):
        set_mark(conn, dsn.database, Mark(snapshot=_SCHEMA_MARK, done=False))
    return version
