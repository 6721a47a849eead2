"""A release among applications that hold what it needs: whom it waits for, whom it never makes wait."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from msgspec.structs import replace
from psycopg.errors import LockNotAvailable

from faberdb.connection import Connection, connect
from faberdb.dsn import Dsn
from faberdb.errors import Contended, EnvironmentBusy
from faberdb.ledger import Kind
from faberdb.locking import Watch
from faberdb.locking.blockers import holders
from faberdb.progress import silent
from faberdb.release import execution
from faberdb.release.lock import hold_environment
from faberdb.release.record import Release, read_release
from faberdb.release.stepping import Stepping
from faberdb.target import Target
from faberdb.tools.simple_query import send_script
from tests.flows.shoplet import Shoplet
from tests.integration.releasing import with_snapshot

NOTE = {"0003_note": "ALTER TABLE account ADD COLUMN note text;"}
IMPATIENT = "lock_timeout_seconds = 0.3\nlock_patience_seconds = 20\n"


def configure(shoplet: Shoplet, lines: str) -> None:
    config = shoplet.root / "faber-db.toml"
    text = config.read_text()
    assert "[migrations]" not in text
    config.write_text(f"{text}\n[migrations]\n{lines}")


@contextmanager
def session(dsn: Dsn, application: str, *statements: str) -> Iterator[Connection]:
    """Another program's session, in a transaction with these statements."""
    with connect(dsn, purpose="test") as conn:
        conn.execute("SELECT set_config('application_name', %s, false)", (application,))
        conn.execute("BEGIN")
        for statement in statements:
            conn.execute(statement.encode())
        yield conn
        with suppress(Exception):
            conn.rollback()


def test_holders_of_a_relation_are_found_by_any_of_its_names(shoplet: Shoplet, target: Target) -> None:
    with session(target.dsn, "report", "SELECT FROM account"), connect(target.dsn, purpose="test") as conn:
        for name in ("account", "public.account", '"public"."account"'):
            found = holders(conn, {name: "ACCESS EXCLUSIVE"}, schema="public", older_than_s=0)
            assert [(b.application, b.relation) for b in found] == [("report", name)]


@contextmanager
def later(seconds: float, do: Callable[[], object]) -> Iterator[None]:
    timer = threading.Timer(seconds, do)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def ready(shoplet: Shoplet, target: Target) -> Release:
    """Approved, with its snapshot: applying is next."""
    release = shoplet.approve()
    with_snapshot(target, release)
    return read_release(target.ledger, release.id)


def apply(target: Target, release: Release) -> None:
    with hold_environment(target.dsn, release.id):
        execution.apply_release(target, release)


def notes(target: Target, release: Release) -> list[str]:
    entries = target.ledger.entries(release=release.id, kind=Kind.STEP_NOTED)
    return [e.body["note"] for e in entries if e.body["step"] == "apply"]


def has_note(target: Target) -> bool:
    return "column public.account.note" in target.schema().objects


@pytest.fixture
def waiting(shoplet: Shoplet, target: Target) -> Release:
    """A release that needs ACCESS EXCLUSIVE on account, and is in no hurry."""
    configure(shoplet, IMPATIENT)
    shoplet.add(NOTE)
    return ready(shoplet, target)


def test_a_long_transaction_is_waited_for_outside_the_queue(waiting: Release, target: Target) -> None:
    """While the reader reads, nobody queues behind the release, and the ledger says whom it waits for."""
    queued: list[int] = []

    def look() -> None:
        with connect(target.dsn, purpose="look") as conn:
            for _ in range(10):
                queued.append(conn.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount)
                time.sleep(0.1)

    with session(target.dsn, "reports", "SELECT * FROM account WHERE owner = 'Ada Lovelace'") as reader:
        time.sleep(0.4)  # longer than one wait for a lock
        with later(0, look), later(1.5, reader.commit):
            apply(target, waiting)
    assert set(queued) == {0}
    assert has_note(target)
    told = next(n for n in notes(target, waiting) if n.startswith("waits"))
    assert "reports" in told
    assert "account" in told
    assert "owner = $1" in told, "the ledger keeps no row's values"
    assert "Lovelace" not in told


def test_one_wait_for_a_lock_is_short_and_is_tried_again(waiting: Release, target: Target) -> None:
    """A transaction that begins in the wrong moment costs one attempt."""
    with session(target.dsn, "reports", "SELECT 1") as reader:
        release = later(1.2, reader.commit)
        with hold_environment(target.dsn, waiting.id), connect(target.dsn, purpose="test") as other:
            other.execute("BEGIN; LOCK TABLE account IN ACCESS SHARE MODE")
            with release, later(0.9, other.commit):
                execution.apply_release(target, waiting)
    assert has_note(target)
    assert any("of 20 gave way" in n for n in notes(target, waiting)) or any(
        n.startswith("waits") for n in notes(target, waiting)
    )


@pytest.mark.parametrize(
    "script",
    [
        "SET lock_timeout = 0; ALTER TABLE account ADD COLUMN note text;",
        "BEGIN; ALTER TABLE account ADD COLUMN note text; COMMIT;",
        "BEGIN; SET LOCAL lock_timeout = 0; ALTER TABLE account ADD COLUMN note text; COMMIT;",
    ],
    ids=["own time-out", "own transaction", "both"],
)
def test_a_script_with_words_of_its_own_keeps_to_the_budget_and_is_tried_again(
    script: str, shoplet: Shoplet, target: Target
) -> None:
    configure(shoplet, IMPATIENT)
    shoplet.add({"0003_note": script})
    release = ready(shoplet, target)
    with connect(target.dsn, purpose="test") as other:
        other.execute("BEGIN; LOCK TABLE account IN ACCESS SHARE MODE")
        with later(2.5, other.commit):
            # Not `apply`: with a plan's locks it would wait outside, and never come to the wait that is meant.
            locked_out = replace(release.plan.steps[0], statements=())
            with hold_environment(target.dsn, release.id), connect(target.dsn, purpose="apply") as conn:
                told: list[str] = []
                Stepping(
                    target=target,
                    conn=conn,
                    plan=release.plan,
                    on_disk={r.name: r for r in target.tool.revisions()},
                    progress=told.append,
                ).run(locked_out)
    assert any(n.startswith("attempt 1 of") and "test" in n for n in told), told
    assert has_note(target)


def test_a_reader_that_never_ends_is_named_and_nothing_stays(shoplet: Shoplet, target: Target) -> None:
    configure(shoplet, "lock_timeout_seconds = 0.2\nlock_patience_seconds = 1\n")
    shoplet.add(NOTE)
    release = ready(shoplet, target)
    with session(target.dsn, "reports", "SELECT * FROM account") as reader:
        time.sleep(0.3)
        with pytest.raises(Contended) as caught:
            apply(target, release)
        assert f"pid {reader.info.backend_pid}, reports" in caught.value.why
    assert not has_note(target)
    assert read_release(target.ledger, release.id).open
    apply(target, read_release(target.ledger, release.id))
    assert has_note(target), "the same command goes on"
    with connect(target.dsn, purpose="test") as conn:
        rows = conn.execute("SELECT FROM _prisma_migrations WHERE migration_name = '0003_note'")
        assert rows.rowcount == 1, "attempts that gave way leave no row"


def test_attempts_end_after_the_configured_number(shoplet: Shoplet, target: Target) -> None:
    configure(shoplet, "lock_timeout_seconds = 5\nlock_attempts = 2\n")
    shoplet.add({"0003_note": "SET lock_timeout = '100ms'; ALTER TABLE account ADD COLUMN note text;"})
    release = ready(shoplet, target)
    with (
        session(target.dsn, "reports", "SELECT * FROM account"),
        pytest.raises(Contended, match="2 attempts"),
    ):
        apply(target, release)
    assert not has_note(target)


def test_a_flood_of_queries_goes_on_while_the_release_lands(waiting: Release, target: Target) -> None:
    """There is always somebody on the table, and nobody for long."""
    done: list[int] = []
    landed = threading.Event()

    def flood() -> None:
        with connect(target.dsn, purpose="flood") as conn:
            while not landed.is_set():
                with conn.transaction():
                    done.append(conn.execute("SELECT id FROM account LIMIT 1").rowcount)
                    conn.execute("SELECT pg_sleep(0.03)")

    with ThreadPoolExecutor(4) as applications:
        running = [applications.submit(flood) for _ in range(4)]
        try:
            apply(target, waiting)
            before = len(done)
            assert has_note(target)
        finally:
            landed.set()
        for each in running:
            each.result(timeout=30)
    assert before > 4
    assert set(done) == {1}


def test_a_vacuum_against_wraparound_is_waited_for_and_not_ended(shoplet: Shoplet, target: Target) -> None:
    """PostgreSQL would start it again at once, and it must come to its end."""
    configure(shoplet, IMPATIENT)
    with connect(target.dsn, purpose="test") as conn:
        conn.execute("CREATE TABLE aged AS SELECT repeat('x', 1500) FROM generate_series(1, 250)")
        conn.execute("SET synchronous_commit = off")
        conn.execute(
            "DO $$ BEGIN FOR n IN 1..100100 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        )
    shoplet.add({"0003_aged": "ALTER TABLE aged ADD COLUMN note text;"})
    release = ready(shoplet, target)
    with vacuumed_slowly(target, "aged"):
        apply(target, release)
    told = notes(target, release)
    assert any(n.startswith("waits, outside the queue") and "to prevent wraparound" in n for n in told), told
    assert not any("made way" in n or "ended" in n for n in told), told
    assert "column public.aged.note" in target.schema().objects


@contextmanager
def vacuumed_slowly(target: Target, table: str) -> Iterator[None]:
    """Inside, the server's own vacuum has just begun with the table; its age is the reason."""
    with connect(target.dsn, purpose="test") as conn:
        conn.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        conn.execute("SELECT pg_reload_conf()")
        try:
            conn.execute(
                f"ALTER TABLE {table} SET (autovacuum_freeze_max_age = 100000, autovacuum_vacuum_cost_limit = 1,"
                " autovacuum_vacuum_cost_delay = 20)".encode()
            )
            deadline = time.monotonic() + 60
            while not conn.execute(
                "SELECT FROM pg_stat_progress_vacuum WHERE relid = %s::regclass", (table,)
            ).rowcount:
                assert time.monotonic() < deadline, "the server began no vacuum"
                time.sleep(0.1)
            yield
        finally:
            conn.execute("ALTER SYSTEM RESET autovacuum_naptime")
            conn.execute("SELECT pg_reload_conf()")


def test_idle_transactions_of_named_applications_are_ended(shoplet: Shoplet, target: Target) -> None:
    configure(
        shoplet,
        IMPATIENT + "end_idle_transactions_of = ['report*']\nidle_transaction_seconds = 0.2\n",
    )
    shoplet.add(NOTE)
    release = ready(shoplet, target)
    with session(target.dsn, "reports of Friday", "SELECT * FROM account") as idle:
        time.sleep(0.5)
        apply(target, release)
        assert has_note(target)
        with pytest.raises(Exception, match="terminat"):
            idle.execute("SELECT 1")
    assert any("ended pid" in n and "reports of Friday" in n for n in notes(target, release))


def test_other_idle_transactions_are_left_alone(shoplet: Shoplet, target: Target) -> None:
    configure(
        shoplet,
        "lock_timeout_seconds = 0.2\nlock_patience_seconds = 1\nend_idle_transactions_of = ['report*']\n"
        "idle_transaction_seconds = 0.2\n",
    )
    shoplet.add(NOTE)
    release = ready(shoplet, target)
    with session(target.dsn, "billing", "SELECT * FROM account") as idle:
        time.sleep(0.5)
        with pytest.raises(Contended, match="in the way"):
            apply(target, release)
        assert idle.execute("SELECT 1").fetchone() == (1,)


def test_a_deadlock_is_tried_again(shoplet: Shoplet, target: Target) -> None:
    configure(shoplet, "lock_timeout_seconds = 10\n")
    shoplet.add(
        {
            "0003_note": "ALTER TABLE entry ADD COLUMN n int; SELECT pg_sleep(0.5);"
            " ALTER TABLE account ADD COLUMN note text;"
        }
    )
    release = ready(shoplet, target)

    def cross() -> None:
        with suppress(Exception), session(target.dsn, "billing", "SET deadlock_timeout = '10min'") as conn:
            conn.execute("LOCK TABLE account IN ACCESS SHARE MODE")
            time.sleep(0.3)
            conn.execute("LOCK TABLE entry IN ACCESS SHARE MODE")

    crossing = threading.Thread(target=cross)
    crossing.start()
    time.sleep(0.1)
    apply(target, release)
    crossing.join()
    assert has_note(target)
    assert any("deadlock detected" in n for n in notes(target, release))


def test_a_concurrent_build_waits_for_older_transactions_and_says_so(
    shoplet: Shoplet, target: Target
) -> None:
    configure(shoplet, IMPATIENT)
    shoplet.add({"0003_index": "CREATE INDEX CONCURRENTLY account_owner ON account (owner);"})
    release = ready(shoplet, target)
    with (
        session(target.dsn, "billing", "UPDATE account SET balance = balance WHERE id = 1") as writer,
        later(1.5, writer.commit),
    ):
        apply(target, release)
    assert "index public.account_owner" in target.schema().objects
    told = notes(target, release)
    assert any(n.startswith("waits for") and "billing" in n for n in told), told


def test_what_a_dead_faber_db_left_at_work_is_ended_and_named(shoplet: Shoplet, target: Target) -> None:
    """As on a server before 14, or where the machine vanished: the statement goes on and the lock is held."""
    shoplet.add(NOTE)
    release = ready(shoplet, target)
    with (
        session(target.dsn, f"faber-db apply {release.id}", "SELECT 1") as dead,
        target.tool.hold_lock(dead, timeout_s=1),
    ):
        pid = dead.info.backend_pid
        dead.pgconn.send_query(b"SELECT pg_sleep(120)")
        apply(target, release)
        dead.close()
    assert has_note(target)
    assert any(f"ended pid {pid}" in n for n in notes(target, release))


def test_a_living_tool_is_waited_for_and_then_named(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(NOTE)
    release = ready(shoplet, target)
    with (
        session(target.dsn, "schema-engine-cli", "SELECT 1") as prisma,
        target.tool.hold_lock(prisma, timeout_s=1),
    ):
        with pytest.raises(EnvironmentBusy, match=f"pid {prisma.info.backend_pid}"):
            apply(target, release)
        with later(1, lambda: prisma.execute("SELECT pg_advisory_unlock_all()")):
            apply(target, release)
    assert has_note(target)


class Ended(BaseException):
    """As an engine raises it for SIGTERM."""


def test_whatever_ends_the_process_cancels_the_statement(fresh_database: Dsn) -> None:
    def end(*_: object) -> None:
        raise Ended

    before = signal.signal(signal.SIGALRM, end)
    try:
        with connect(fresh_database, purpose="ends") as conn, Watch(conn, silent, lock_s=1) as watch:
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            with pytest.raises(Ended):
                send_script(conn, "CREATE TABLE t (id int); SELECT pg_sleep(60)", watch)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with connect(fresh_database, purpose="look") as conn:
        left = conn.execute(
            "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND state = 'active'"
        )
        assert left.fetchall() == []
        assert conn.execute("SELECT to_regclass('t')").fetchone() == (None,)


def test_a_detaching_that_died_halfway_is_ended_by_the_next_attempt(shoplet: Shoplet, target: Target) -> None:
    configure(shoplet, IMPATIENT)
    with connect(target.dsn, purpose="test") as conn:
        conn.execute("CREATE TABLE log (at int) PARTITION BY RANGE (at)")
        conn.execute("CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (10)")
    shoplet.add({"0003_detach": "ALTER TABLE log DETACH PARTITION log_1 CONCURRENTLY;"})
    release = ready(shoplet, target)
    with session(target.dsn, "reports", "SELECT * FROM log") as reader:

        def end_it() -> None:
            with connect(target.dsn, purpose="kill") as conn:
                conn.execute(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%DETACH%CONCURRENTLY%'"
                    " AND pid <> pg_backend_pid() AND datname = current_database()"
                )

        with later(1.0, end_it), pytest.raises(Exception, match="0003_detach"):
            apply(target, release)
        with connect(target.dsn, purpose="look") as conn:
            assert conn.execute("SELECT inhdetachpending FROM pg_inherits").fetchone() == (True,)
            target.tool.mark_rolled_back(conn, "0003_detach")
        reader.commit()
    apply(target, release)
    assert any("ending the detaching of log_1" in n for n in notes(target, release))
    with connect(target.dsn, purpose="look") as conn:
        assert conn.execute("SELECT FROM pg_inherits").rowcount == 0


def test_what_a_failed_rebuild_of_an_index_left_is_dropped_before_the_next(
    shoplet: Shoplet, target: Target
) -> None:
    shoplet.add({"0003_rebuild": "REINDEX INDEX CONCURRENTLY account_pkey;"})
    release = ready(shoplet, target)
    with session(target.dsn, "reports", "SELECT * FROM account"):
        for _ in range(2):
            with connect(target.dsn, purpose="impatient") as conn:
                conn.execute("SET lock_timeout = 100")
                with pytest.raises(LockNotAvailable):
                    conn.execute("REINDEX INDEX CONCURRENTLY account_pkey")
    assert invalid_indexes(target) == ["account_pkey_ccold", "account_pkey_ccold1"]
    with session(target.dsn, "reports", "SELECT * FROM account") as reader, later(2, reader.commit):
        apply(target, release)
    assert invalid_indexes(target) == []
    told = notes(target, release)
    assert any(n.startswith("waits for") and "reports" in n for n in told), told


def invalid_indexes(target: Target) -> list[str]:
    with connect(target.dsn, purpose="look") as conn:
        rows = conn.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1")
        return [name for (name,) in rows]


def test_a_value_that_is_added_to_an_enum_can_be_used_in_the_same_script(
    shoplet: Shoplet, target: Target
) -> None:
    with connect(target.dsn, purpose="test") as conn:
        conn.execute("CREATE TYPE mood AS ENUM ('ok')")
    shoplet.add(
        {
            "0003_mood": "ALTER TYPE mood ADD VALUE 'good'; ALTER TABLE account ADD COLUMN mood mood DEFAULT 'good';"
        }
    )
    release = ready(shoplet, target)
    assert not release.plan.steps[0].atomic
    apply(target, release)
    assert "column public.account.mood" in target.schema().objects
