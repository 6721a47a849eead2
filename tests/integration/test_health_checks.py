"""Each check on a real server that is unwell in just that way, and on one that is not."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from faberdb.connection import Connection, connect, run
from faberdb.dsn import Dsn
from faberdb.health import CheckResult, HealthState, Thresholds
from faberdb.health.connectivity import judge_tls
from faberdb.health.disk import judge_free
from faberdb.health.examination import check_health
from faberdb.health.performance import judge_cache
from faberdb.health.report import StatementTime
from faberdb.health.statements import Baseline, slowdowns, statement_times
from faberdb.health.wraparound import judge_age
from tests.integration.unwell import unwell_server

HEALTHY, DEGRADED, UNHEALTHY, NOT_RUN = (
    HealthState.HEALTHY,
    HealthState.DEGRADED,
    HealthState.UNHEALTHY,
    HealthState.NOT_RUN,
)
BOUNDS = Thresholds()


@pytest.fixture(scope="module")
def own_server(home: Path) -> Iterator[Dsn]:
    with unwell_server(home / "unwell") as admin:
        yield admin


@pytest.fixture
def database(own_server: Dsn) -> Iterator[Dsn]:
    """An empty database of this test's own."""
    name = f"t_{uuid.uuid4().hex[:8]}"
    with connect(own_server, purpose="test") as conn:
        run(conn, "CREATE DATABASE {name} TEMPLATE template0 STRATEGY FILE_COPY", name=name)
    yield own_server.with_database(name)
    with connect(own_server, purpose="test") as conn:
        run(conn, "DROP DATABASE {name} WITH (FORCE)", name=name)


@pytest.fixture
def nobody(database: Dsn) -> Iterator[Dsn]:
    """The database as a role that may only log in."""
    with connect(database, purpose="test") as conn:
        conn.execute("CREATE ROLE t_nobody LOGIN")
    yield replace(database, user="t_nobody")
    with connect(database, purpose="test") as conn:
        conn.execute("DROP OWNED BY t_nobody; DROP ROLE t_nobody")


def execute(dsn: Dsn, *statements: str) -> None:
    """Run them in a session that has ended, so that its statistics are written."""
    with connect(dsn, purpose="test") as conn:
        for statement in statements:
            conn.execute(statement.encode())


def look(dsn: Dsn, name: str, *, baseline: Baseline | None = None, **bounds: Any) -> CheckResult:
    report = check_health(
        dsn,
        tool=None,
        expected=None,
        checks=(name,),
        thresholds=replace(BOUNDS, **bounds),
        baseline=baseline,
    )
    (result,) = report.results
    assert result.name == name
    assert bool(result.why and result.next_step) or result.state in {HEALTHY, NOT_RUN}
    return result


@contextmanager
def session(dsn: Dsn) -> Iterator[Connection]:
    with connect(dsn, purpose="other") as conn, conn.transaction(force_rollback=True):
        yield conn


def until(check: Any, *, seconds: float = 5) -> CheckResult:
    """The first finding that is not well, or the last."""
    deadline = time.monotonic() + seconds
    result: CheckResult = check()
    while result.state is HEALTHY and time.monotonic() < deadline:
        time.sleep(0.02)
        result = check()
    return result


def test_a_session_on_this_machine_needs_no_tls(database: Dsn) -> None:
    result = look(database, "tls")

    assert result.state is HEALTHY
    assert result.figure == "not encrypted, on this machine"


def test_a_session_over_a_network_needs_tls_unless_the_configuration_says_otherwise() -> None:
    bare = judge_tls("", local=False, required=True)

    assert bare.state is DEGRADED
    assert "sslmode=verify-full" in bare.next_step
    assert judge_tls("", local=False, required=False).state is HEALTHY
    assert judge_tls("TLSv1.3, TLS_AES_256_GCM_SHA384", local=False, required=True).state is HEALTHY


def test_a_session_idle_in_its_transaction_is_named(database: Dsn) -> None:
    assert look(database, "idle in transaction").figure == "0"
    with session(database) as idle:
        idle.execute("SELECT 1")
        pid = idle.info.backend_pid
        time.sleep(0.05)
        result = look(database, "idle in transaction", idle_in_transaction_warn_seconds=0.04)
        patient = look(database, "idle in transaction")

    assert result.state is DEGRADED
    assert f"pid {pid}, postgres, faber-db other" in result.why
    assert patient.state is HEALTHY
    assert patient.figure.startswith("1 for up to ")


def test_a_lock_that_is_waited_for_is_told_with_who_waits_and_who_holds_it(database: Dsn) -> None:
    execute(database, "CREATE TABLE orders (id int)")

    def wait() -> None:
        with session(database) as conn:
            conn.execute("LOCK TABLE orders")

    waiter = threading.Thread(target=wait)
    with session(database) as holder:
        holder.execute("LOCK TABLE orders IN SHARE MODE")
        pid = holder.info.backend_pid
        assert look(database, "lock waits").state is HEALTHY
        waiter.start()
        result = until(lambda: look(database, "lock waits", lock_waits_warn=1))
    waiter.join()

    assert result.state is DEGRADED
    assert result.value == 1
    assert "wants AccessExclusiveLock on orders, which pid" in result.why
    assert f"pid {pid} holds" in result.why


def test_a_slot_that_nobody_reads_is_told_with_the_wal_it_holds(database: Dsn) -> None:
    assert look(database, "replication slots").figure == "none"
    try:
        execute(database, "SELECT pg_create_physical_replication_slot('t_left', true)")
        result = look(database, "replication slots")
        execute(database, "SELECT pg_drop_replication_slot('t_left')")
        execute(database, "SELECT pg_create_physical_replication_slot('t_left', false)")
        reserves_nothing = look(database, "replication slots")
    finally:
        execute(database, "SELECT pg_drop_replication_slot('t_left')")

    assert result.state is DEGRADED
    assert "t_left holds" in result.why
    assert "inactive since 20" in result.why
    assert "pg_drop_replication_slot" in result.next_step
    assert reserves_nothing.state is HEALTHY


def test_a_server_without_standbys_has_no_lag(database: Dsn, nobody: Dsn) -> None:
    for dsn in (database, nobody):
        result = look(dsn, "replication lag")
        assert (result.state, result.figure) == (HEALTHY, "no standby")


@pytest.mark.parametrize("name", ["transaction id age", "multixact age"])
def test_the_age_of_ids_is_read_and_held_against_the_bounds(database: Dsn, name: str) -> None:
    execute(database, "CREATE TABLE aged AS SELECT 1")
    figure = look(database, name)

    assert figure.state is HEALTHY
    assert figure.value is not None
    assert "% of all" in figure.figure
    assert "autovacuum freezes at" in figure.threshold


def test_old_transaction_ids_are_told_with_the_oldest_tables(database: Dsn) -> None:
    result = look(database, "transaction id age", wraparound_warn_percent=100 / 2**31)

    assert result.state is DEGRADED
    assert "Oldest here: " in result.why
    assert "VACUUM (FREEZE)" in result.next_step


@pytest.mark.parametrize(
    ("age", "state"),
    [(399_999_999, HEALTHY), (400_000_000, DEGRADED), (1_932_735_282, DEGRADED), (1_932_735_284, UNHEALTHY)],
)
def test_only_ids_that_run_out_soon_stop_a_release(age: int, state: HealthState) -> None:
    result = judge_age("transaction id age", age, 200_000_000, BOUNDS, where="shop", tables="orders")

    assert result.state is state


def test_a_server_that_freezes_late_is_still_warned_at_half_of_all_ids() -> None:
    result = judge_age("transaction id age", 2**30, 1_500_000_000, BOUNDS, where="shop", tables="orders")

    assert result.state is DEGRADED


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (
            "CREATE SEQUENCE small AS smallint; SELECT setval('small', 30000)",
            "small at 91.6 %",
        ),
        (
            "CREATE SEQUENCE wide; CREATE TABLE t (id int DEFAULT nextval('wide'));"
            " SELECT setval('wide', 2000000000)",
            "wide at 93.1 % into t.id (integer)",
        ),
        (
            "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY); SELECT setval('t_id_seq', 2147483647)",
            "t_id_seq at 100.0 % into t.id (integer)",
        ),
        (
            "CREATE SEQUENCE down INCREMENT -1 MINVALUE -10; SELECT setval('down', -9)",
            "down at 90.0 %",
        ),
        (
            "CREATE SEQUENCE capped MAXVALUE 100; CREATE TABLE t (id bigint DEFAULT nextval('capped'));"
            " SELECT setval('capped', 80)",
            "capped at 80.0 % into t.id (bigint)",
        ),
    ],
)
def test_a_sequence_near_its_end_or_its_columns_is_named(database: Dsn, statements: str, said: str) -> None:
    execute(database, *statements.split(";"))

    result = look(database, "sequences")

    assert result.state is DEGRADED
    assert result.why == f"At the end every insert fails: {said}"


def test_a_sequence_with_room_or_that_begins_again_is_well(database: Dsn) -> None:
    assert look(database, "sequences").figure == "none"
    execute(
        database,
        "CREATE SEQUENCE wide",
        "SELECT setval('wide', 2000000000)",
        "CREATE SEQUENCE round MAXVALUE 10 CYCLE",
        "SELECT setval('round', 10)",
        "CREATE TABLE t (id serial)",
    )

    result = look(database, "sequences")

    assert result.state is HEALTHY
    assert result.figure == "0.0 % used by wide"


def test_a_sequence_that_the_role_may_not_read_degrades_the_check(database: Dsn, nobody: Dsn) -> None:
    execute(database, "CREATE SEQUENCE small AS smallint", "SELECT setval('small', 30000)")

    result = look(nobody, "sequences")

    assert result.state is DEGRADED
    assert result.why == "The role may not read 1 sequences"


def test_the_disk_of_a_server_on_this_machine_is_known(database: Dsn) -> None:
    use, free = look(database, "disk use"), look(database, "free disk")

    assert "tablespace pg_default" in use.figure
    assert "WAL" in use.figure
    assert free.state in {HEALTHY, DEGRADED}
    assert free.value is not None
    assert look(database, "free disk", disk_free_warn_percent=100).state is DEGRADED


def test_what_the_server_does_not_tell_is_not_guessed(nobody: Dsn) -> None:
    free, use = look(nobody, "free disk"), look(nobody, "disk use")

    assert (free.state, free.why) == (NOT_RUN, "the server does not tell")
    assert use.state is HEALTHY
    assert use.figure.startswith("database ")
    assert "WAL" not in use.figure


def test_a_disk_is_full_in_percent() -> None:
    assert judge_free(9, 100, BOUNDS).state is DEGRADED
    assert judge_free(10, 100, BOUNDS).state is HEALTHY


def test_dead_rows_that_no_vacuum_took_are_told(database: Dsn) -> None:
    execute(database, "CREATE TABLE lines AS SELECT g AS id FROM generate_series(1, 3000) g")
    assert look(database, "dead rows", dead_rows_min=1000).state is HEALTHY
    execute(database, "DELETE FROM lines WHERE id > 1500")

    result = look(database, "dead rows", dead_rows_min=1000)
    few = look(database, "dead rows")

    assert result.state is DEGRADED
    assert "lines 1,500 (50 %)" in result.why
    assert few.state is HEALTHY


def test_a_file_that_is_mostly_empty_is_estimated(database: Dsn) -> None:
    execute(
        database,
        "CREATE TABLE lines AS SELECT g AS id, repeat('x', 100) AS text FROM generate_series(1, 30000) g",
        "CREATE INDEX lines_id ON lines (id)",
        "VACUUM ANALYZE lines",
    )
    full = look(database, "bloat", bloat_min_mb=0.1)
    execute(database, "DELETE FROM lines WHERE id % 10 <> 0", "VACUUM ANALYZE lines")

    result = look(database, "bloat", bloat_min_mb=0.1)
    execute(database, "VACUUM (FULL, ANALYZE) lines")
    mended = look(database, "bloat", bloat_min_mb=0.1)

    assert full.state is HEALTHY
    assert result.state is DEGRADED
    assert "lines 3." in result.why
    assert "lines_id" in result.why
    assert mended.state is HEALTHY
    assert look(database, "bloat").state is HEALTHY


def test_bloat_is_estimated_well_enough(database: Dsn) -> None:
    """A tenth of the rows is left, so nine tenths of the file are empty, and the estimate says about that."""
    execute(
        database,
        "CREATE TABLE lines AS SELECT g AS id, md5(g::text) AS text, now() AS at, NULL::int AS none"
        " FROM generate_series(1, 30000) g",
        "DELETE FROM lines WHERE id % 10 <> 0",
        "VACUUM ANALYZE lines",
    )

    result = look(database, "bloat", bloat_min_mb=0.1)

    percent = float(result.why.rsplit("(", 1)[1].split()[0])
    assert 85 <= percent <= 92


def test_a_big_table_that_was_never_vacuumed_is_named(database: Dsn) -> None:
    execute(database, "CREATE TABLE lines AS SELECT g AS id FROM generate_series(1, 2000) g")
    before = look(database, "never vacuumed", vacuum_min_rows=1000)
    execute(database, "ANALYZE lines")
    analyzed = look(database, "never vacuumed", vacuum_min_rows=1000)
    execute(database, "VACUUM lines")

    assert "lines never vacuumed or analyzed" in before.why
    assert before.state is DEGRADED
    assert analyzed.why.endswith("lines never vacuumed")
    assert look(database, "never vacuumed", vacuum_min_rows=1000).state is HEALTHY


UNUSED: dict[str, Any] = {"unused_index_days": 0, "unused_index_min_mb": 0}


def test_an_index_that_no_query_used_is_named_and_those_that_enforce_something_are_not(
    database: Dsn,
) -> None:
    execute(
        database,
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE orders (id int PRIMARY KEY, mail text UNIQUE, parent int REFERENCES parent, note text,"
        " kind int, EXCLUDE (kind WITH =))",
        "CREATE INDEX for_the_key ON orders (parent)",
        "CREATE INDEX unloved ON orders (note)",
        "CREATE INDEX loved ON orders (note, kind)",
        "INSERT INTO orders SELECT g, g::text, NULL, g::text, g FROM generate_series(1, 2000) g",
        "ANALYZE orders",
        "SET enable_seqscan = off",
        "SELECT 1 FROM orders WHERE note = 'x' AND kind = 1",
    )

    result = look(database, "unused indexes", **UNUSED)

    assert result.why == "Every write pays for them: unloved"
    assert look(database, "unused indexes", unused_index_days=0).state is HEALTHY, "it is small"


def test_young_statistics_say_nothing_about_indexes(database: Dsn) -> None:
    execute(database, "SELECT pg_stat_reset()")

    result = look(database, "unused indexes")

    assert (result.state, result.figure) == (NOT_RUN, "0 days of statistics")


def test_an_index_that_is_there_twice_is_named(database: Dsn) -> None:
    execute(
        database,
        "CREATE TABLE orders (id int PRIMARY KEY, note text, kind int)",
        "CREATE INDEX again ON orders (id)",
        "CREATE INDEX lowered ON orders (lower(note)) WHERE kind > 0",
        "CREATE INDEX  lowered_again ON orders  ( lower( note ))  WHERE  kind  >  0",
        "CREATE INDEX alike_1 ON orders (kind)",
        "CREATE INDEX alike_2 ON orders (kind DESC)",
        "CREATE INDEX alike_3 ON orders (kind) INCLUDE (note)",
        "CREATE INDEX alike_4 ON orders (kind) WHERE kind > 0",
        "CREATE INDEX alike_5 ON orders USING hash (kind)",
    )

    result = look(database, "duplicate indexes")

    assert result.state is DEGRADED
    assert result.value == 2
    assert "again is orders_pkey" in result.why
    assert "lowered_again is lowered" in result.why
    assert "alike" not in result.why


def test_a_failed_concurrent_build_is_an_invalid_index(database: Dsn) -> None:
    execute(database, "CREATE TABLE orders AS SELECT 1 AS id FROM generate_series(1, 2)")
    assert look(database, "invalid indexes").state is HEALTHY
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(database, "CREATE UNIQUE INDEX CONCURRENTLY broken ON orders (id)")

    assert look(database, "invalid indexes").figure == "1: broken"


def test_an_index_that_is_being_built_is_not_broken(database: Dsn) -> None:
    execute(database, "CREATE TABLE orders (id int)")

    def build() -> None:
        execute(database, "CREATE INDEX CONCURRENTLY slow ON orders (id)")

    builder = threading.Thread(target=build)
    with session(database) as reader:
        reader.execute("SELECT count(*) FROM orders")
        reader.execute("INSERT INTO orders VALUES (1)")
        builder.start()
        deadline = time.monotonic() + 5
        seen = None
        with connect(database, purpose="test") as conn:
            while seen is None and time.monotonic() < deadline:
                seen = conn.execute(
                    "SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                    " WHERE c.relname = 'slow' AND NOT i.indisvalid"
                ).fetchone()
        result = look(database, "invalid indexes")
    builder.join()

    assert seen is not None
    assert result.state is HEALTHY


def test_a_check_that_the_role_may_not_make_stands_alone(database: Dsn, nobody: Dsn) -> None:
    execute(
        database,
        "REVOKE EXECUTE ON FUNCTION pg_is_in_recovery() FROM PUBLIC",
        "REVOKE SELECT ON pg_stat_user_tables FROM PUBLIC",
    )

    report = check_health(nobody, tool=None, expected=None)

    unread = {r.name: r for r in report.results if r.figure == "not read"}
    assert set(unread) == {
        "replication lag",
        "replication slots",
        "sequences",
        "dead rows",
        "never vacuumed",
        "unused indexes",
    }
    assert {r.state for r in unread.values()} == {DEGRADED}
    assert unread["dead rows"].why.startswith("The role may not see it: permission denied for view")
    assert {r.area for r in report.results if r.state is HEALTHY} >= {"performance", "safety", "maintenance"}


def test_a_locked_table_holds_no_check_up(database: Dsn) -> None:
    execute(
        database,
        "CREATE TABLE orders (id int PRIMARY KEY, note text)",
        "CREATE INDEX once ON orders (lower(note)) WHERE id > 0",
        "CREATE INDEX twice ON orders (lower(note)) WHERE id > 0",
        "INSERT INTO orders SELECT g, g::text FROM generate_series(1, 2000) g",
        "ANALYZE orders",
    )
    with session(database) as conn:
        conn.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        report = check_health(
            database,
            tool=None,
            expected=None,
            checks=("safety", "maintenance", "performance"),
            thresholds=replace(BOUNDS, unused_index_days=0, unused_index_min_mb=0),
        )

    assert time.monotonic() - began < 2
    assert "not read" not in {r.figure for r in report.results}


def test_the_cache_is_judged_once_enough_was_read(database: Dsn) -> None:
    assert look(database, "cache hit ratio").state is NOT_RUN
    execute(database, "CREATE TABLE t AS SELECT 1", "SELECT * FROM t")
    judged = look(database, "cache hit ratio", cache_min_reads=0, cache_hit_warn_percent=100)

    assert judged.state in {HEALTHY, DEGRADED}
    assert judged.value is not None
    assert judge_cache(89, 11, replace(BOUNDS, cache_min_reads=100)).state is DEGRADED
    assert judge_cache(90, 10, replace(BOUNDS, cache_min_reads=100)).state is HEALTHY
    assert judge_cache(0, 99, replace(BOUNDS, cache_min_reads=100)).state is NOT_RUN


def counted(database: Dsn) -> None:
    execute(
        database,
        "CREATE EXTENSION pg_stat_statements SCHEMA public",
        "CREATE FUNCTION work() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$",
    )


def test_without_the_extension_statements_are_not_judged(database: Dsn) -> None:
    result = look(database, "slow statements")

    assert (result.state, result.why) == (NOT_RUN, "pg_stat_statements is not installed")


def test_a_slow_statement_is_named_without_its_values(database: Dsn) -> None:
    counted(database)
    assert look(database, "slow statements").state is HEALTHY
    execute(
        database,
        *["SELECT pg_sleep(0.03), 'a secret'"] * 3,
        *["DO $$ BEGIN PERFORM pg_sleep(0.03), 'a secret'; END $$"] * 3,
    )

    result = look(database, "slow statements", slow_statement_ms=20, statement_min_calls=3)

    assert result.state is DEGRADED
    assert "3 calls: SELECT pg_sleep($1), $2" in result.why
    assert "calls: statement " in result.why
    assert "secret" not in result.why


def test_statements_of_others_that_the_role_may_not_see_degrade_the_check(database: Dsn, nobody: Dsn) -> None:
    counted(database)
    execute(database, "SELECT pg_sleep(0)")

    result = look(nobody, "slow statements")

    assert result.state is DEGRADED
    assert "pg_read_all_stats" in result.next_step


def test_a_statement_that_became_many_times_slower_since_a_release_is_named(database: Dsn) -> None:
    counted(database)
    execute(database, *["SELECT work()"] * 10, *["SELECT count(*) FROM pg_class"] * 10)
    with connect(database, purpose="test") as conn:
        baseline = Baseline(release="rel-1", times=statement_times(conn))
    assert look(database, "slower statements", baseline=baseline).state is HEALTHY
    execute(
        database,
        "CREATE OR REPLACE FUNCTION work() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.02); RETURN 1; END $$",
        *["SELECT work()"] * 10,
        *["SELECT count(*) FROM pg_class"] * 10,
    )

    result = look(database, "slower statements", baseline=baseline)

    assert result.state is DEGRADED
    assert result.figure == "1"
    assert result.threshold == "10 times slower since rel-1"
    assert "10 calls): SELECT work()" in result.why


@pytest.mark.parametrize(
    ("was", "now", "slower"),
    [
        ((10, 10), (20, 110), True),  # 1 ms, then 10 ms
        ((10, 10), (20, 109), False),
        ((9, 9), (20, 1000), False),  # too few before
        ((10, 10), (19, 1000), False),  # too few since
        ((10, 0.1), (20, 9), False),  # nobody's trouble
        ((1000, 1000), (10, 100), True),  # the statistics were reset
    ],
)
def test_a_slowdown_needs_calls_before_and_since(
    was: tuple[int, float], now: tuple[int, float], slower: bool
) -> None:
    before, after = (StatementTime(calls=c, total_ms=ms) for c, ms in (was, now))

    assert bool(slowdowns({1: before}, {1: after}, BOUNDS)) is slower
