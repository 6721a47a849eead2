"""What the observed database says of the relations that scripts touch: read in one round trip."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct, field

from faberdb.connection import Connection

_BUSY_PER_S: Final = 1.0  # scans and written rows a second, on average since the counters began


class LiveRelation(Struct, frozen=True, kw_only=True):
    """One relation; of an index, the facts are its table's."""

    rows: int  # estimated
    size: int  # bytes, with indexes and TOAST
    busy: bool  # the application uses it more often than now and then
    columns: Mapping[str, str] = field(default_factory=dict)  # quoted name and type, as format_type spells it
    nullable: frozenset[str] = frozenset()
    checked_not_null: frozenset[str] = frozenset()  # columns with a valid CHECK (c IS NOT NULL)
    indexed: frozenset[str] = frozenset()  # first columns of valid indexes
    dependents: tuple[str, ...] = ()  # views, functions, publications and foreign keys that hang on it
    primary_key: str = ""  # its constraint's name


class Live(Struct, frozen=True, kw_only=True):
    """By relation, as scripts name it. Empty: nothing was observed, or nothing is there yet."""

    relations: Mapping[str, LiveRelation] = field(default_factory=dict)
    time_zone: str = ""  # of the session

    def relation(self, name: str) -> LiveRelation | None:
        """A relation's facts, None where nothing is known."""
        return self.relations.get(name)


def read_live(conn: Connection, names: Collection[str]) -> Live:
    """Read the facts of those that exist."""
    asked = sorted(n for n in names if n and n.count(".") <= 1)
    if not asked:
        return Live()
    rows = conn.execute(_QUERY, (asked,)).fetchall()
    found = {
        name: LiveRelation(
            rows=int(count),
            size=int(size),
            busy=float(per_s) > _BUSY_PER_S,
            columns=columns or {},
            nullable=frozenset(nullable or ()),
            checked_not_null=frozenset(checked or ()),
            indexed=frozenset(indexed or ()),
            dependents=tuple(dependents or ()),
            primary_key=primary_key or "",
        )
        for name, count, size, per_s, columns, nullable, checked, indexed, dependents, primary_key, _ in rows
    }
    return Live(relations=found, time_zone=rows[0][-1] if rows else "")


# The counters' age is at least an hour here: just after a restart an average says nothing.
_QUERY: Final = """
SELECT asked.name,
       greatest(coalesce((SELECT sum(greatest(p.reltuples, 0)) FROM pg_partition_tree(c.oid) t
                          JOIN pg_class p ON p.oid = t.relid WHERE t.isleaf), 0),
                c.reltuples, CASE WHEN c.reltuples < 0 THEN
                greatest(coalesce(s.n_live_tup, 0), pg_relation_size(c.oid) / 100) ELSE 0 END, 0)::bigint,
       coalesce((SELECT sum(pg_total_relation_size(t.relid)) FROM pg_partition_tree(c.oid) t),
                pg_total_relation_size(c.oid))::bigint,
       (coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0) + coalesce(s.n_tup_ins, 0) + coalesce(s.n_tup_upd, 0)
        + coalesce(s.n_tup_del, 0)) / greatest(3600, extract(epoch FROM now() - coalesce(
            (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
            pg_postmaster_start_time()))),
       (SELECT json_object_agg(quote_ident(attname), format_type(atttypid, atttypmod)) FROM pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
       (SELECT json_agg(quote_ident(attname)) FROM pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND NOT attnotnull),
       (SELECT json_agg(quote_ident(a.attname)) FROM pg_constraint k
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
        WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.convalidated
          AND pg_get_constraintdef(k.oid) = format('CHECK ((%%I IS NOT NULL))', a.attname)),
       (SELECT json_agg(quote_ident(a.attname)) FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL),
       (SELECT json_agg(d.what ORDER BY d.what) FROM (
            SELECT DISTINCT CASE v.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END
                   || r.ev_class::regclass AS what
            FROM pg_depend p JOIN pg_rewrite r ON r.oid = p.objid JOIN pg_class v ON v.oid = r.ev_class
            WHERE p.classid = 'pg_rewrite'::regclass AND p.refobjid = c.oid AND r.ev_class <> c.oid
            UNION SELECT 'function ' || p.objid::regprocedure FROM pg_depend p
            WHERE p.classid = 'pg_proc'::regclass AND p.refobjid = c.oid
            UNION SELECT 'function ' || p.oid::regprocedure || ', by its text' FROM pg_proc p
            JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace o ON o.oid = p.pronamespace
            WHERE l.lanname IN ('sql', 'plpgsql') AND o.nspname NOT IN ('pg_catalog', 'information_schema')
              AND p.prosrc ~* ('\\m' || regexp_replace(c.relname, '(\\W)', '\\\\\\1', 'g') || '\\M')
            UNION SELECT 'publication ' || quote_ident(b.pubname) FROM pg_publication_rel r
            JOIN pg_publication b ON b.oid = r.prpubid WHERE r.prrelid = c.oid
            UNION SELECT 'publication ' || quote_ident(t.pubname) FROM pg_publication_tables t
            WHERE t.schemaname = ns.nspname AND t.tablename = c.relname
            UNION SELECT 'foreign key ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass
            FROM pg_constraint k WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0) d),
       (SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = c.oid AND contype = 'p'),
       current_setting('TimeZone')
FROM unnest(%s::text[]) AS asked (name)
JOIN pg_class named ON named.oid = to_regclass(asked.name)
LEFT JOIN pg_index x ON x.indexrelid = named.oid
JOIN pg_class c ON c.oid = coalesce(x.indrelid, named.oid)
JOIN pg_namespace ns ON ns.oid = c.relnamespace
LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
"""
