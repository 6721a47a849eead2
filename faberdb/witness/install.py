"""Putting a witness into a copy: event triggers that tell what the session holds at each DDL command.

They tell by messages of level INFO, which reach the client whatever `client_min_messages` says, keep their
place among the results and survive an abort; a session other than the watched one leaves rows instead.
All of it is a member of the extension plpgsql, so that no reading of the schema sees it: the copy's
fingerprint is the application's. Only for databases that are thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Final

import psycopg
from psycopg import sql

from faberdb.connection import Connection

MARK: Final = "faber_witness "
SCHEMA: Final = "faber_witness"


class Means(StrEnum):
    """How a database is watched, best first; the value is told to people."""

    EVENTS = "event triggers in the copy"
    END = "a trigger on the tool's own table, and a second session that looks every few milliseconds"
    SAMPLES = "a second session that looks every few milliseconds"


def install(conn: Connection, tracking: Sequence[str], *, schema: str) -> tuple[Means, str]:
    """Begin to watch a session in a copy, as well as its role may.

    Args:
        conn: the session, idle, in autocommit.
        tracking: the migration tool's own tables, in `schema`; its last write in a transaction is a look too.
        schema: where they are.

    Returns:
        The means, and why not better ones, "" with the best.
    """
    why = ""
    pid = sql.Literal(conn.info.backend_pid)
    tables = [
        name
        for name in tracking
        if conn.execute(
            "SELECT to_regclass(format('%%I.%%I', %s::text, %s::text))", (schema, name)
        ).fetchone()
        != (None,)
    ]
    try:
        with conn.transaction():
            place = sql.Identifier(SCHEMA)
            conn.execute(sql.SQL(_PLACE))
            conn.execute(sql.SQL(_LOOK + _RECORD + _EVENT).format(place=place, pid=pid))
            conn.execute(sql.SQL(_EVENTS))
            conn.execute(_ends(tables, schema, place))
    except psycopg.Error as error:  # mostly a role that is no superuser, or a database without plpgsql
        why = f"event triggers could not be made: {str(error).strip().splitlines()[0]}"
    else:
        _tell_times(conn)
        return Means.EVENTS, ""
    if not tables:
        return Means.SAMPLES, why
    try:
        with conn.transaction():
            place = sql.Identifier("pg_temp")
            conn.execute(sql.SQL(_LOOK + _RECORD).format(place=place))
            conn.execute(_ends(tables, schema, place))
    except psycopg.Error:
        return Means.SAMPLES, why
    return Means.END, why


def begin_step(conn: Connection, means: Means) -> None:
    """From now on, tell of what is there now; and let the session's counters begin at nothing."""
    if means is not Means.SAMPLES:
        place = sql.Identifier(SCHEMA if means is Means.EVENTS else "pg_temp")
        conn.execute(
            sql.SQL("UPDATE {}.faber_witness_mark SET newest = (SELECT max(oid::int8) FROM pg_class)").format(
                place
            ),
            prepare=False,
        )
    if conn.info.server_version >= 150000:
        conn.execute("SELECT pg_stat_force_next_flush()", prepare=False)


def told_by_others(conn: Connection) -> list[str]:
    """What sessions other than the watched one left, oldest first; it is taken away."""
    rows = conn.execute(
        "WITH gone AS (DELETE FROM faber_witness.seen RETURNING at, told) SELECT told FROM gone ORDER BY at",
        prepare=False,
    )
    return [told for (told,) in rows]


def _ends(tables: Sequence[str], schema: str, place: sql.Identifier) -> sql.Composed:
    return sql.SQL("").join(
        sql.SQL(_END).format(table=sql.Identifier(schema, name), place=place) for name in tables
    )


def _tell_times(conn: Connection) -> None:
    """Let the server tell how long each INSERT, UPDATE, DELETE and SELECT ran: the client, and not its log."""
    with suppress(psycopg.Error):  # a server that logs statistics of whole statements refuses it
        conn.execute(
            "SET log_min_messages = fatal; SET client_min_messages = log; SET log_executor_stats = on",
            prepare=False,
        )


_PLACE: Final = """
CREATE SCHEMA faber_witness;
CREATE TABLE faber_witness.seen (at timestamptz, pid int, told text);
"""

# What the step itself makes keeps nobody out, and a script of a thousand tables would tell all of them at each
# command: so only relations up to the newest one before it. Of indexes and sequences only what keeps others out:
# every query takes a weak lock on each index. The name is NULL where the statement dropped it. The counters are
# the session's own, not yet in pg_stat_user_tables.
_LOOK: Final = """
CREATE TABLE {place}.faber_witness_mark (newest int8);
INSERT INTO {place}.faber_witness_mark VALUES (0);
CREATE FUNCTION {place}.faber_witness_look(what text, tag text) RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $look$
WITH own AS MATERIALIZED (SELECT * FROM pg_locks WHERE pid = pg_backend_pid() AND granted), held AS (
  SELECT l.relation, l.mode, c.relkind, n.nspname, c.relname
  FROM own l LEFT JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE l.locktype = 'relation' AND l.relation >= 16384
    AND l.relation::int8 <= (SELECT newest FROM {place}.faber_witness_mark)
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (c.relkind IS NULL OR c.relkind IN ('r', 'p', 'm', 'v', 'f')
      OR l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
        'AccessExclusiveLock'))
    AND coalesce(n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'faber_witness'), true))
SELECT jsonb_build_object(
  'at', extract(epoch FROM clock_timestamp()), 'what', what, 'tag', tag,
  'vx', (SELECT min(virtualtransaction) FROM own),
  'locks', coalesce(jsonb_agg(jsonb_build_array(
     h.relation::int8, quote_ident(h.nspname) || '.' || quote_ident(h.relname), h.mode,
     CASE WHEN h.relkind IN ('r', 'm', 'f') THEN jsonb_build_array(
       pg_stat_get_xact_numscans(h.relation), pg_stat_get_xact_tuples_returned(h.relation),
       pg_stat_get_xact_tuples_inserted(h.relation) + pg_stat_get_xact_tuples_updated(h.relation)
         + pg_stat_get_xact_tuples_deleted(h.relation)) END)), '[]'))
FROM held h
$look$;
"""

_RECORD: Final = """
CREATE FUNCTION {place}.faber_witness_end() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $end$
BEGIN
  RAISE INFO 'faber_witness %', {place}.faber_witness_look('end', TG_OP);
  RETURN NULL;
END $end$;
"""

_EVENT: Final = """
CREATE FUNCTION {place}.faber_witness_event() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $event$
DECLARE
  told jsonb := {place}.faber_witness_look(TG_EVENT, TG_TAG);
BEGIN
  IF TG_EVENT = 'table_rewrite' THEN
    told := told || jsonb_build_object('rewrite',
      jsonb_build_array(pg_event_trigger_table_rewrite_oid()::int8, pg_event_trigger_table_rewrite_reason()));
  END IF;
  IF pg_backend_pid() = {pid} THEN
    RAISE INFO 'faber_witness %', told;
  ELSE
    INSERT INTO {place}.seen VALUES (clock_timestamp(), pg_backend_pid(), told::text);
  END IF;
END $event$;
"""

# ALWAYS: a script that sets session_replication_role, as those that load data do, is watched too.
_EVENTS: Final = (
    "".join(
        f"""
CREATE EVENT TRIGGER faber_witness_{event} ON {event} EXECUTE FUNCTION faber_witness.faber_witness_event();
ALTER EVENT TRIGGER faber_witness_{event} ENABLE ALWAYS;
ALTER EXTENSION plpgsql ADD EVENT TRIGGER faber_witness_{event};
"""
        for event in ("ddl_command_start", "ddl_command_end", "table_rewrite")
    )
    + """
ALTER EXTENSION plpgsql ADD FUNCTION faber_witness.faber_witness_event();
ALTER EXTENSION plpgsql ADD FUNCTION faber_witness.faber_witness_end();
ALTER EXTENSION plpgsql ADD FUNCTION faber_witness.faber_witness_look(text, text);
ALTER EXTENSION plpgsql ADD TABLE faber_witness.seen;
ALTER EXTENSION plpgsql ADD TABLE faber_witness.faber_witness_mark;
ALTER EXTENSION plpgsql ADD SCHEMA faber_witness;
"""
)

_END: Final = """
CREATE TRIGGER faber_witness AFTER INSERT OR UPDATE OR DELETE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {place}.faber_witness_end();
"""
