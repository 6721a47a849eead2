from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from msgspec import Struct

from faberdb.connection import connect, run
from faberdb.database_properties import allow_connections, read_properties, set_comment
from faberdb.databases import (
    database_exists,
    drop_database,
    ensure_database,
    list_databases,
    maintenance,
)
from faberdb.dsn import Dsn
from faberdb.embedded import start_server, stop_server
from faberdb.errors import CompensationFailed, Refused, Transient
from faberdb.swap import SwapState, probe_swap, swap_in
from tests.integration.test_databases import roles

__all__ = ["roles"]


class Pair(Struct, frozen=True, kw_only=True):
    """A live database and a restored one; the table `marker` in each says which it is."""

    live: Dsn
    restored: str
    aside: str

    def swap(self, **options: object) -> object:
        return swap_in(self.live, restored=self.restored, aside=self.aside, **options)  # type: ignore[arg-type]

    def state(self) -> SwapState:
        return probe_swap(self.live, restored=self.restored, aside=self.aside)

    def which(self, name: str = "") -> str:
        with connect(self.live.with_database(name or self.live.database), purpose="tests") as conn:
            row = conn.execute("SELECT which FROM marker").fetchone()
        assert row is not None
        return str(row[0])

    def assert_exchanged(self) -> None:
        assert self.which() == "restored"
        assert self.which(self.aside) == "live"
        assert not database_exists(self.live.with_database(self.restored))
        assert self.state() is SwapState.DONE


@pytest.fixture
def pair(create_database: Callable[..., Dsn]) -> Iterator[Pair]:
    live = create_database('Ü"; DROP DATABASE x')
    pair = Pair(live=live, restored=live.database + "_restored", aside=live.database + "_aside")
    with connect(live, purpose="tests") as conn:
        conn.execute("CREATE TABLE marker (which text); INSERT INTO marker VALUES ('live')")
    with maintenance(live, purpose="tests") as conn:
        run(
            conn,
            "CREATE DATABASE {n} TEMPLATE {t} STRATEGY file_copy",
            n=pair.restored,
            t=live.database,
        )
    with connect(live.with_database(pair.restored), purpose="tests") as conn:
        conn.execute("UPDATE marker SET which = 'restored'")
    yield pair
    for name in (pair.restored, pair.aside):
        drop_database(live.with_database(name))


def test_the_restored_database_goes_live_and_the_other_is_kept(pair: Pair) -> None:
    assert pair.state() is SwapState.READY
    pair.swap()
    pair.assert_exchanged()


def test_swapping_twice_is_swapping_once(pair: Pair) -> None:
    pair.swap()
    pair.swap()
    pair.assert_exchanged()


def test_owner_grants_settings_limit_and_comment_go_with_the_live_name(
    pair: Pair, roles: Callable[[str], Dsn]
) -> None:
    owner, reader, name = roles("").user, roles("").user, pair.live.database
    with maintenance(pair.live, purpose="tests") as conn:
        run(conn, "ALTER DATABASE {n} OWNER TO {o}", n=name, o=owner)
        run(conn, "REVOKE ALL ON DATABASE {n} FROM PUBLIC", n=name)
        run(conn, "GRANT CONNECT ON DATABASE {n} TO {r}", n=name, r=reader)
        run(conn, "ALTER DATABASE {n} CONNECTION LIMIT 9", n=name)
        run(conn, "ALTER DATABASE {n} SET search_path TO '$user', public", n=name)
        run(conn, "ALTER ROLE {r} IN DATABASE {n} SET work_mem TO '5MB'", n=name, r=reader)
        set_comment(conn, name, "the shop's own")
        set_comment(conn, pair.restored, "faber-db restored rel-1-before")
        before = read_properties(conn, name)
        pair.swap()
        assert read_properties(conn, name) == before
        assert len(before.settings) == 2
    pair.assert_exchanged()


def test_the_set_aside_database_says_what_it_is_and_does_not_take_writes_by_mistake(pair: Pair) -> None:
    pair.swap()
    with maintenance(pair.live, purpose="tests") as conn:
        comment = read_properties(conn, pair.aside).comment
    assert comment == f"faber-db set aside from {pair.live.database}"
    with connect(pair.live.with_database(pair.aside), purpose="tests") as conn:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            conn.execute("INSERT INTO marker VALUES ('lost')")
        conn.execute("SET default_transaction_read_only = off")
        conn.execute("INSERT INTO marker VALUES ('meant')")
    with connect(pair.live, purpose="tests") as conn:
        conn.execute("INSERT INTO marker VALUES ('live takes writes')")


def test_the_set_aside_database_can_go_live_again_and_takes_writes(pair: Pair) -> None:
    pair.swap()
    back = Pair(live=pair.live, restored=pair.aside, aside=pair.restored)
    back.swap()
    assert back.which() == "live"
    with connect(pair.live, purpose="tests") as conn:
        conn.execute("INSERT INTO marker VALUES ('and it does')")


@dataclass(slots=True)
class Application:
    """Connects, asks which database it is in, and when it is thrown out connects again at once."""

    dsn: Dsn
    seen: list[str] = field(default_factory=list)
    thrown_out: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        arguments = self.dsn.connect_arguments()
        while not self.stop.is_set():
            try:
                with psycopg.connect(**arguments, autocommit=True) as conn:  # type: ignore[arg-type]
                    while not self.stop.is_set():
                        row = conn.execute("SELECT which FROM marker").fetchone()
                        assert row is not None
                        self.seen.append(row[0])
            except psycopg.Error:
                self.thrown_out += 1


def test_an_application_that_reconnects_in_a_tight_loop_does_not_win(pair: Pair) -> None:
    applications = [Application(pair.live) for _ in range(6)]
    threads = [threading.Thread(target=a.run) for a in applications]
    for thread in threads:
        thread.start()
    try:
        _until(lambda: all(a.seen for a in applications))
        pair.swap()
        _until(lambda: all(a.seen[-1] == "restored" for a in applications))
    finally:
        for application in applications:
            application.stop.set()
        for thread in threads:
            thread.join(10)
    pair.assert_exchanged()
    for application in applications:
        assert application.thrown_out > 0
        assert application.seen == sorted(application.seen)  # first "live", then "restored", never back


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_sessions_that_may_stay_are_waited_for(pair: Pair) -> None:
    with psycopg.connect(**pair.live.connect_arguments()) as session:  # type: ignore[arg-type]
        threading.Timer(0.5, session.close).start()
        pair.swap(terminate=False)
    pair.assert_exchanged()


def test_sessions_that_do_not_leave_in_time_leave_everything_as_it_was(pair: Pair) -> None:
    with connect(pair.live, purpose="a stubborn one") as session:
        with pytest.raises(Transient, match="open again as it was") as caught:
            pair.swap(terminate=False, patience_s=0.1)
        assert "a stubborn one" in str(caught.value)
        assert session.execute("SELECT which FROM marker").fetchone() == ("live",)
    assert pair.state() is SwapState.READY
    assert (pair.which(), pair.which(pair.restored)) == ("live", "restored")


def test_a_role_that_may_not_end_sessions_is_refused_before_anything_happens(
    pair: Pair, roles: Callable[[str], Dsn]
) -> None:
    owner, other = roles("CREATEDB"), roles("")
    with maintenance(pair.live, purpose="tests") as conn:
        for name in (pair.live.database, pair.restored):
            run(conn, "ALTER DATABASE {n} OWNER TO {o}", n=name, o=owner.user)
    ours = Pair(live=owner.with_database(pair.live.database), restored=pair.restored, aside=pair.aside)
    with connect(other.with_database(pair.live.database), purpose="an application") as session:
        with pytest.raises(Refused, match="may not be ended by our role"):
            ours.swap()
        assert session.execute("SELECT 'still here'").fetchone()
    ours.swap()
    pair.assert_exchanged()


def test_a_role_that_does_not_own_the_database_is_refused(pair: Pair, roles: Callable[[str], Dsn]) -> None:
    stranger = roles("CREATEDB").with_database(pair.live.database)
    with pytest.raises(Refused, match="must be owner"):
        swap_in(stranger, restored=pair.restored, aside=pair.aside)
    assert pair.state() is SwapState.READY
    assert (pair.which(), pair.which(pair.restored)) == ("live", "restored")


def test_an_error_between_closing_and_exchanging_opens_the_live_database_again(pair: Pair) -> None:
    def fail(note: str) -> None:
        if note.startswith("exchanging"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pair.swap(progress=fail)
    assert (pair.which(), pair.which(pair.restored)) == ("live", "restored")
    assert pair.state() is SwapState.READY


def test_a_database_left_closed_is_opened(pair: Pair) -> None:
    pair.swap()
    with maintenance(pair.live, purpose="tests") as conn:
        allow_connections(conn, pair.live.database, False)
    pair.swap()
    pair.assert_exchanged()


def test_states_that_nobody_can_end_are_told_with_their_commands(pair: Pair) -> None:
    nothing = Pair(live=pair.live, restored="t_nothing", aside=pair.aside)
    with pytest.raises(CompensationFailed, match="only the live database") as caught:
        nothing.swap()
    assert "'t_nothing': missing" in str(caught.value)

    missing = Pair(live=pair.live.with_database("t_no_live"), restored=pair.restored, aside=pair.aside)
    with pytest.raises(CompensationFailed, match="no database has the live name") as caught:
        missing.swap()
    assert 'RENAME TO "t_no_live";' in str(caught.value)

    taken = Pair(live=pair.live, restored=pair.restored, aside="template1")
    with pytest.raises(CompensationFailed, match="taken already") as caught:
        taken.swap()
    assert 'ALTER DATABASE "template1" RENAME TO "template1_earlier";' in str(caught.value)
    assert (pair.which(), pair.which(pair.restored)) == ("live", "restored")


def test_a_name_that_the_server_would_cut_is_refused(pair: Pair) -> None:
    with pytest.raises(Refused, match="cannot be a database's name"):
        swap_in(pair.live, restored=pair.restored, aside="x" * 64)


PREPARING = """
import sys
from pathlib import Path
from faberdb.connection import connect
from faberdb.embedded import start_server, stop_server

home = Path(sys.argv[1])
with connect(start_server(home), purpose="tests") as conn:
    conn.execute("ALTER SYSTEM SET max_prepared_transactions = 5")
stop_server(home)
"""


def test_a_prepared_transaction_is_named_and_nothing_changes(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", PREPARING, str(tmp_path)], check=True, timeout=60, cwd=root)
    live = start_server(tmp_path).with_database("live")
    try:
        for name in ("live", "restored"):
            ensure_database(live.with_database(name))
        with connect(live, purpose="tests") as conn:
            conn.execute("CREATE TABLE t (a int)")
            conn.execute("BEGIN")
            conn.execute("INSERT INTO t VALUES (1)")
            conn.execute("PREPARE TRANSACTION 'left by somebody'")
        with pytest.raises(Transient, match="prepared transaction 'left by somebody'"):
            swap_in(live, restored="restored", aside="aside", patience_s=0.1)
        with connect(live, purpose="tests") as conn:
            conn.execute("COMMIT PREPARED 'left by somebody'")
        swap_in(live, restored="restored", aside="aside")
    finally:
        stop_server(tmp_path)


# A process of its own, killed at its n-th note.
PROGRAM = """
import os, signal, sys
from faberdb.dsn import Dsn
from faberdb.swap import swap_in

host, port, user, database, restored, aside, kill_at = sys.argv[1:]
notes = []

def progress(note):
    notes.append(note)
    print(note, flush=True)
    if len(notes) == int(kill_at):
        os.kill(os.getpid(), signal.SIGKILL)

swap_in(Dsn(host=host, port=int(port), user=user, database=database), restored=restored, aside=aside,
    progress=progress)
"""
NOTES = 6


def swap_elsewhere(pair: Pair, kill_at: int) -> subprocess.CompletedProcess[str]:
    live = pair.live
    names = [live.host, live.port, live.user, live.database, pair.restored, pair.aside, kill_at]
    command = [sys.executable, "-c", PROGRAM, *map(str, names)]
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=root)


@pytest.mark.parametrize("at", range(1, NOTES + 1))
def test_a_swap_killed_at_any_note_ends_well_when_it_is_run_again(pair: Pair, at: int) -> None:
    ended = swap_elsewhere(pair, at)
    assert ended.returncode == -9
    assert len(ended.stdout.splitlines()) == at
    assert pair.live.database in list_databases(pair.live)
    pair.swap()
    pair.assert_exchanged()


def test_the_kills_cover_every_note(pair: Pair) -> None:
    ended = swap_elsewhere(pair, 0)
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == NOTES
    pair.assert_exchanged()


def test_an_application_in_the_database_postgres_can_be_swapped(pair: Pair, server: Dsn) -> None:
    """Nobody can rename the database they are connected to: the work is done from template1."""
    live = server.with_database("postgres")
    with maintenance(live, purpose="tests") as conn:
        assert conn.info.dbname == "template1"
        swap_in(live, restored=pair.restored, aside=pair.aside)
        try:
            assert pair.which("postgres") == "restored"
        finally:
            run(conn, "DROP DATABASE postgres WITH (FORCE)")
            run(conn, "ALTER DATABASE {a} RENAME TO postgres", a=pair.aside)
            run(conn, "ALTER DATABASE postgres RESET default_transaction_read_only")
