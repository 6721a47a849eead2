from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest

from faberdb.connection import connect
from faberdb.credentials import LedgerAddress
from faberdb.dsn import Dsn
from faberdb.ledger import Kind, ensure_ledger, open_ledger


@pytest.fixture
def address(create_database: Callable[..., Dsn]) -> LedgerAddress:
    """A ledger of this test's own, run as a role that can insert and select."""
    admin = create_database("ledger")
    runs_as = Dsn(host=admin.host, port=admin.port, user="t_ledger_writer", database=admin.database)
    return LedgerAddress(runs_as=runs_as, admin=admin)


def test_an_entry_is_read_back_as_it_was_written(address: LedgerAddress) -> None:
    with open_ledger(address, project="shop") as ledger:
        written = ledger.append(
            Kind.STEP_DONE, release="rel-1", environment="dev", actor="Ana", body={"step": "appliqué"}
        )
        assert ledger.entries() == [written]
        assert written.seq == 1
        assert written.body == {"step": "appliqué"}


def test_entries_are_read_from_the_newest_back_across_kinds_and_no_further_than_wanted(
    address: LedgerAddress,
) -> None:
    with open_ledger(address, project="shop") as ledger:
        for n in range(130):
            kind = Kind.STEP_DONE if n % 3 else Kind.STEP_NOTED
            environment = "dev" if n % 2 else "staging"
            ledger.append(kind, release=f"rel-{n}", environment=environment, body={"step": "x"})
        ledger.append(Kind.VOTE_CAST, release="rel-0", environment="dev")

        both = ledger.newest_first(Kind.STEP_DONE, Kind.STEP_NOTED)
        assert [e.seq for e in both] == list(range(130, 0, -1))
        assert [e.seq for e in ledger.newest_first()] == list(range(131, 0, -1))
        dev = ledger.newest_first(Kind.STEP_NOTED, environment="dev")
        assert [e.seq for e in dev] == list(range(130, 0, -6))
        assert [e.seq for e in ledger.newest_first(release="rel-0")] == [131, 1]

        newest = ledger.newest_first(Kind.STEP_DONE)
        assert next(newest).seq == 129
        ledger.conn.close()  # who wanted one has asked for one
        with pytest.raises(psycopg.OperationalError):
            next(newest)


def test_the_newest_of_nothing_is_none(address: LedgerAddress) -> None:
    with open_ledger(address, project="shop") as ledger:
        ledger.append(Kind.VOTE_CAST, release="rel-0", environment="dev")
    with open_ledger(address, project="other") as ledger:
        assert ledger.newest() is None
        assert list(ledger.newest_first(Kind.VOTE_CAST, Kind.STEP_DONE)) == []


def test_a_kind_of_a_newer_version_is_passed_over(address: LedgerAddress) -> None:
    with open_ledger(address, project="shop") as ledger:
        ledger.append(Kind("moon.phase"), release="r", body={"full": True})
        ledger.append(Kind.STEP_NOTED, release="r", body={"step": "x"})
        assert [e.kind.value for e in ledger.entries()] == ["moon.phase", "step.noted"]
        assert ledger.verify().broken_at is None


def test_the_chain_of_a_used_ledger_is_whole(address: LedgerAddress) -> None:
    with open_ledger(address, project="shop") as ledger:
        for n in range(20):
            ledger.append(Kind.STEP_NOTED, release=f"rel-{n}", body={"step": "x", "note": "é\n\"'"})
        report = ledger.verify()
    assert (report.entries, report.broken_at) == (20, None)


def test_entries_written_at_once_make_one_chain(address: LedgerAddress) -> None:
    ensure_ledger(address)

    def write() -> None:
        with open_ledger(address, project="shop") as ledger:
            for _ in range(25):
                ledger.append(Kind.STEP_NOTED, release="r", body={"step": "x"})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open_ledger(address, project="shop") as ledger:
        assert [e.seq for e in ledger.entries()] == list(range(1, 101))
        assert ledger.verify().broken_at is None


@pytest.mark.parametrize(
    "statement",
    [
        b"UPDATE faber_ledger.entry SET actor = 'mallory'",
        b"DELETE FROM faber_ledger.entry",
        b"TRUNCATE faber_ledger.entry",
        b"DROP TABLE faber_ledger.entry",
        b"ALTER TABLE faber_ledger.entry DISABLE TRIGGER ALL",
        b"CREATE TABLE faber_ledger.other ()",
    ],
)
def test_the_role_of_the_product_can_insert_and_select_and_nothing_else(
    address: LedgerAddress, statement: bytes
) -> None:
    with open_ledger(address, project="shop") as ledger:
        ledger.append(Kind.STEP_NOTED, release="r", body={"step": "x"})
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ledger.conn.execute(statement)


def test_not_even_the_owner_changes_an_entry_by_accident(address: LedgerAddress) -> None:
    with open_ledger(address, project="shop") as ledger:
        ledger.append(Kind.STEP_NOTED, release="r", body={"step": "x"})
    with connect(address.admin, purpose="test") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("UPDATE faber_ledger.entry SET actor = 'mallory'")


@pytest.mark.parametrize(
    ("tamper", "broken_at"),
    [
        ("UPDATE faber_ledger.entry SET actor = 'mallory' WHERE seq = 2", 2),
        ("DELETE FROM faber_ledger.entry WHERE seq = 2", 3),
        ("UPDATE faber_ledger.entry SET body = '{}' WHERE seq = 3", 3),
        ("UPDATE faber_ledger.entry SET body = 'no JSON' WHERE seq = 3", 3),
        ("UPDATE faber_ledger.entry SET kind = 'step.forged' WHERE seq = 2", 2),
    ],
)
def test_an_owner_who_disables_the_guard_is_found_out(
    address: LedgerAddress, tamper: str, broken_at: int
) -> None:
    with open_ledger(address, project="shop") as ledger:
        for _ in range(4):
            ledger.append(Kind.STEP_NOTED, release="r", body={"step": "x"})
    with connect(address.admin, purpose="test") as conn:
        conn.execute("ALTER TABLE faber_ledger.entry DISABLE TRIGGER append_only")
        conn.execute(tamper.encode())
    with open_ledger(address, project="shop") as ledger:
        assert ledger.verify().broken_at == broken_at


def test_a_writer_cannot_choose_its_place_time_or_hash(address: LedgerAddress) -> None:
    with open_ledger(address, project="shop") as ledger:
        ledger.conn.execute(
            "INSERT INTO faber_ledger.entry (seq, at, project, environment, release, kind, actor, body,"
            " previous_hash, hash) VALUES (99, '2001-01-01', 'shop', '', 'r', 'step.noted', 'x', '{}', 'a', 'b')"
        )
        (entry,) = ledger.entries()
        assert entry.seq == 1
        assert entry.at.year > 2001
        assert ledger.verify().broken_at is None


def test_projects_share_a_ledger_and_see_only_their_own_entries(address: LedgerAddress) -> None:
    for project in ("shop", "bank"):
        with open_ledger(address, project=project) as ledger:
            ledger.append(Kind.STEP_NOTED, release="r", body={"step": project})
    with open_ledger(address, project="bank") as ledger:
        assert [e.body["step"] for e in ledger.entries()] == ["bank"]
        assert ledger.verify().entries == 2
