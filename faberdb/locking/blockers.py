"""The sessions that stand in the way of a lock, as people need to know them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from psycopg import sql

from faberdb.connection import Connection
from faberdb.markdown import one_line

_SHOWN: Final = 100  # characters of a query

# PostgreSQL's manual, "Explicit Locking": what each table-level mode conflicts with, among the modes that
# a migration waits for and applications notice.
CONFLICTS: Final[Mapping[str, tuple[str, ...]]] = {
    mode: tuple(words.title().replace(" ", "") + "Lock" for words in others.split(", "))
    for mode, others in {
        "SHARE": "ROW EXCLUSIVE, SHARE UPDATE EXCLUSIVE, SHARE ROW EXCLUSIVE, EXCLUSIVE, ACCESS EXCLUSIVE",
        "SHARE ROW EXCLUSIVE": "ROW EXCLUSIVE, SHARE UPDATE EXCLUSIVE, SHARE, SHARE ROW EXCLUSIVE, EXCLUSIVE,"
        " ACCESS EXCLUSIVE",
        "EXCLUSIVE": "ROW SHARE, ROW EXCLUSIVE, SHARE UPDATE EXCLUSIVE, SHARE, SHARE ROW EXCLUSIVE, EXCLUSIVE,"
        " ACCESS EXCLUSIVE",
        "ACCESS EXCLUSIVE": "ACCESS SHARE, ROW SHARE, ROW EXCLUSIVE, SHARE UPDATE EXCLUSIVE, SHARE,"
        " SHARE ROW EXCLUSIVE, EXCLUSIVE, ACCESS EXCLUSIVE",
    }.items()
}


class Blocker(Struct, frozen=True, kw_only=True):
    """One session in the way."""

    pid: int  # 0 for a prepared transaction
    application: str
    user: str
    state: str
    kind: str  # as pg_stat_activity.backend_type
    query: str  # without its constants: texts like this one are kept for ever
    since: datetime | None  # its transaction's begin
    age_s: float
    idle_s: float  # in a transaction and doing nothing, 0 where it works
    relation: str = ""

    @property
    def yields(self) -> bool:
        """An autovacuum that ends itself for whoever waits, unless it prevents a wraparound."""
        return self.kind == "autovacuum worker" and "wraparound" not in self.query

    @property
    def text(self) -> str:
        """For people, such as `pid 42, reports (anna), idle in transaction since 10:02:11 UTC: SELECT ...`."""
        if not self.pid:
            return "a prepared transaction: SELECT * FROM pg_prepared_xacts"
        who = f"pid {self.pid}, {self.application or 'without a name'} ({self.user or self.kind})"
        at = f" since {self.since.astimezone(UTC):%H:%M:%S} UTC" if self.since else ""
        held = f" on {self.relation}" if self.relation else ""
        return f"{who}, {self.state or self.kind}{at}{held}" + (f": {self.query}" if self.query else "")


_COLUMNS: Final = sql.SQL("""
    coalesce(a.pid, 0), coalesce(a.application_name, ''), coalesce(a.usename, ''), coalesce(a.state, ''),
    coalesce(a.backend_type, ''), coalesce(a.query, ''), a.xact_start,
    coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0),
    CASE WHEN a.state LIKE 'idle in transaction%%'
         THEN extract(epoch FROM clock_timestamp() - a.state_change) ELSE 0 END""")

_BLOCKING: Final = sql.SQL("""
SELECT DISTINCT {columns}, ''
  FROM unnest(pg_blocking_pids(%s)) AS b (pid) LEFT JOIN pg_stat_activity a ON a.pid = b.pid""").format(
    columns=_COLUMNS
)

# A transaction that is younger than one wait for a lock ends in time for it, as far as anybody can know.
_HOLDING: Final = sql.SQL("""
SELECT DISTINCT ON (coalesce(l.pid, 0)) {columns}, w.name
  FROM (SELECT w.name,
               CASE WHEN cardinality(parse_ident(w.name)) > 1 THEN to_regclass(w.name)
                    ELSE coalesce(to_regclass(quote_ident(%(schema)s) || '.' || w.name), to_regclass(w.name))
               END AS oid,
               string_to_array(w.modes, ' ') AS modes
          FROM unnest(%(names)s::text[], %(modes)s::text[]) AS w (name, modes)) AS w
  JOIN pg_locks l ON l.relation = w.oid AND l.mode = ANY (w.modes) AND l.granted AND l.locktype = 'relation'
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  LEFT JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.pid IS DISTINCT FROM pg_backend_pid()
   AND (a.xact_start IS NULL OR a.xact_start < clock_timestamp() - make_interval(secs => %(older)s))
 ORDER BY coalesce(l.pid, 0)""").format(columns=_COLUMNS)


_ANYBODY: Final = """
SELECT FROM pg_locks WHERE locktype = 'relation' AND granted AND relation >= 16384
   AND pid IS DISTINCT FROM pg_backend_pid() LIMIT 1"""


def alone(conn: Connection) -> bool:
    """Whether nobody else holds a lock on any relation of the server's databases; asks for little."""
    return not conn.execute(_ANYBODY, prepare=False).rowcount


def blockers_of(conn: Connection, pid: int) -> tuple[Blocker, ...]:
    """Whoever a session waits for now: lock holders, and those before it in the queue.

    Args:
        conn: another session's.
        pid: of the session that waits.
    """
    return _read(conn, _BLOCKING, (pid,))


def holders(
    conn: Connection, wanted: Mapping[str, str], *, schema: str, older_than_s: float
) -> tuple[Blocker, ...]:
    """Whoever holds a lock on a relation that conflicts with the mode wanted there, and has done so for long.

    Args:
        conn: any; its own locks do not count.
        wanted: relations, as statements name them, and the mode in SQL's words; one that does not exist yet
            has no holder.
        schema: where unqualified names are looked for first.
        older_than_s: of the holder's transaction.
    """
    asked = {name: " ".join(CONFLICTS[mode]) for name, mode in wanted.items() if mode in CONFLICTS}
    if not asked:
        return ()
    values = {
        "names": list(asked),
        "modes": list(asked.values()),
        "schema": schema,
        "older": older_than_s,
    }
    return _read(conn, _HOLDING, values)


def _read(
    conn: Connection, query: sql.Composed, values: Mapping[str, object] | tuple[object, ...]
) -> tuple[Blocker, ...]:
    return tuple(
        Blocker(
            pid=pid,
            application=application,
            user=user,
            state=state,
            kind=kind,
            query=_without_constants(text),
            since=since,
            age_s=float(age),
            idle_s=float(idle),
            relation=relation,
        )
        for pid, application, user, state, kind, text, since, age, idle, relation in conn.execute(
            query, values, prepare=False
        )
    )


def _without_constants(query: str) -> str:
    if query.startswith(("autovacuum:", "<")):
        return query
    from faberdb.grammar.parser import NotInGrammar, normalised  # noqa: PLC0415 -- the grammar loads slowly

    try:
        return one_line(normalised(query), _SHOWN)
    except NotInGrammar:  # the server cut it off
        return one_line(query, _SHOWN).split(" ", 1)[0] + " …"


def listed(blockers: tuple[Blocker, ...]) -> str:
    """For people, in one line."""
    return "; ".join(b.text for b in blockers)
