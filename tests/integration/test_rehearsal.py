"""A rehearsal on a copy: which copy, what it tells, how it is taken back, and that nothing of it stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from faberdb.catalog import read_schema
from faberdb.config.model import Hosting
from faberdb.connection import connect
from faberdb.embedded import start_server, stop_server
from faberdb.errors import Refused, VariableMissing
from faberdb.ledger import Kind
from faberdb.plan import Plan
from faberdb.progress import silent
from faberdb.release.copying import CopyKind, copy_kind
from faberdb.release.evidence import Evidence, find_evidence
from faberdb.release.rehearsal import rehearse
from faberdb.target import Target, open_target
from tests.flows.shoplet import CHANGES, FAILS_FIRST, FAILS_LATER, GOOD, Shoplet
from tests.integration.releasing import land


def configure(shoplet: Shoplet, *lines: str) -> None:
    config = shoplet.root / "faber-db.toml"
    config.write_text(config.read_text() + "\n[rehearsal]\n" + "\n".join(lines) + "\n")


def planned(target: Target) -> Plan:
    from faberdb.release.opening import plan_target

    return plan_target(target, requester="Priya")


def tried(target: Target) -> Evidence:
    return rehearse(target, planned(target), silent)


def test_each_statement_of_the_plan_is_told_with_its_locks(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(GOOD)
    evidence = tried(target)
    assert evidence.ok, evidence.message
    assert evidence.witness == "event triggers in the copy"
    told = {(s.revision, s.line, lock.relation, lock.mode) for s in evidence.witnessed for lock in s.locks}
    assert ("0003_note", 1, "account", "ACCESS EXCLUSIVE") in told
    assert ("0003_note", 1, "entry", "SHARE") in told
    assert ("0004_kind", 2, "entry", "ACCESS EXCLUSIVE") in told
    assert len(evidence.witnessed) == 5
    assert evidence.notes == ()


def test_the_evidence_is_read_back_as_it_was_written(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(GOOD)
    evidence = tried(target)
    assert find_evidence(target, evidence.digest) == evidence


def test_evidence_of_an_older_version_is_still_read(target: Target) -> None:
    old = {
        "digest": "d" * 64,
        "ok": True,
        "message": "",
        "snapshot": "s",
        "restore_s": 1.5,
        "step_s": [["0003", 0.5]],
        "fingerprint_after": "e" * 64,
    }
    target.ledger.append(Kind.EVIDENCE_FOUND, release="d" * 64, environment=target.name, body=old)
    evidence = find_evidence(target, "d" * 64)
    assert evidence is not None
    assert (evidence.step_s, evidence.witnessed, evidence.undo_ok) == ((("0003", 0.5),), (), None)


def test_the_undo_is_rehearsed_and_brings_the_schema_back(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(GOOD)
    evidence = tried(target)
    assert (evidence.undo_ok, evidence.undo_way) == (True, "inverse")
    assert "DROP TYPE public.kind" in evidence.undo_script
    assert evidence.undo_s is not None
    assert evidence.undo_s > 0


def test_an_undo_that_needs_the_snapshot_is_rehearsed_with_it(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(CHANGES)
    evidence = tried(target)
    assert (evidence.undo_ok, evidence.undo_way, evidence.undo_script) == (True, "restore-and-swap", ())


def test_an_inverse_is_rehearsed_on_a_copy_without_rows_too(shoplet: Shoplet, target: Target) -> None:
    configure(shoplet, 'copy_of = "schema"')
    shoplet.add(GOOD)
    with open_target(shoplet.root, "production") as opened:
        evidence = tried(opened)
    assert (evidence.undo_ok, evidence.undo_way) == (True, "inverse")


def test_what_a_change_puts_into_what_it_adds_has_no_inverse(shoplet: Shoplet, target: Target) -> None:
    shoplet.add({"0003_at": "ALTER TABLE entry ADD COLUMN token uuid DEFAULT gen_random_uuid();"})
    evidence = tried(target)
    assert (evidence.ok, evidence.undo_ok, evidence.undo_way) == (True, True, "restore-and-swap")
    assert "The change itself leaves rows" in evidence.undo_refuted


def test_nothing_of_a_rehearsal_stays_but_its_evidence(shoplet: Shoplet, target: Target) -> None:
    before, databases = shoplet.state(), shoplet.databases()
    shoplet.add(GOOD)
    tried(target)
    assert shoplet.databases() == databases
    assert shoplet.state() == before


def test_a_copy_that_a_killed_rehearsal_left_is_made_anew(shoplet: Shoplet, target: Target) -> None:
    configure(shoplet, 'copy_of = "schema"')
    shoplet.add(GOOD)
    with open_target(shoplet.root, "production") as opened:
        left = _begun_copy(opened)
        assert left in shoplet.databases()
        assert tried(opened).ok
        assert left not in shoplet.databases()


def _begun_copy(target: Target) -> str:
    from faberdb.database_properties import read_properties
    from faberdb.databases import fitting_name, maintenance
    from faberdb.release import copying

    plan = planned(target)
    dsn = target.dsn.with_database(fitting_name(plan.database, f"_rehearsal_{plan.digest[:8]}"))
    with maintenance(target.dsn, purpose="test") as conn:
        properties = read_properties(conn, target.dsn.database)
    copying._create(dsn, properties, same=True)
    return dsn.database


def test_what_ran_before_a_failure_is_kept(shoplet: Shoplet, target: Target) -> None:
    shoplet.add(FAILS_LATER)
    evidence = tried(target)
    assert not evidence.ok
    assert evidence.undo_ok is None
    seen = [(s.revision, s.line, s.rows, s.failed) for s in evidence.witnessed]
    assert seen == [
        ("0003_note", 1, None, False),
        ("0004_bad", 1, 500, False),
        ("0004_bad", 2, None, True),
    ]


def test_a_copy_without_rows_is_of_the_schema_and_its_statistics(shoplet: Shoplet, target: Target) -> None:
    configure(shoplet, 'copy_of = "schema"')
    with connect(target.dsn, purpose="test") as conn:
        conn.execute(b"ANALYZE account")
    shoplet.add(
        {
            "0003_look": "DO $$ BEGIN IF (SELECT reltuples FROM pg_class WHERE relname = 'account') <> 500"
            " THEN RAISE 'no statistics'; END IF; END $$;\nALTER TABLE account ADD COLUMN note text;"
        }
    )
    with open_target(shoplet.root, "production") as opened:
        evidence = tried(opened)
    assert evidence.ok, evidence.message
    assert (evidence.copy, evidence.snapshot, evidence.undo_ok) == ("schema", "", None)
    assert "has no rows" in evidence.notes[0]
    assert "was not rehearsed" in evidence.notes[1]


def test_a_release_comes_out_as_a_copy_without_rows_did(shoplet: Shoplet, target: Target) -> None:
    configure(shoplet, 'copy_of = "schema"')
    shoplet.add(GOOD)
    with open_target(shoplet.root, "production") as opened:
        evidence = tried(opened)
        land(shoplet)
        assert opened.fingerprint() == evidence.fingerprint_after


def test_a_large_database_is_copied_without_its_rows(shoplet: Shoplet, target: Target) -> None:
    assert copy_kind(target) is CopyKind.DATA
    configure(shoplet, "max_data_mib = 1")
    with open_target(shoplet.root, "production") as opened:
        assert copy_kind(opened) is CopyKind.SCHEMA


def test_a_second_restore_can_be_spared(shoplet: Shoplet, target: Target) -> None:
    configure(shoplet, "undo = false")
    shoplet.add(CHANGES)
    with open_target(shoplet.root, "production") as opened:
        evidence = tried(opened)
    assert (evidence.ok, evidence.undo_ok) == (True, None)
    assert "the configuration says so" in evidence.notes[0]


def test_the_copy_may_be_on_a_server_of_its_own(
    shoplet: Shoplet, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = start_server(tmp_path / "other")
    try:
        monkeypatch.setenv("REHEARSAL_URL", other.url())
        configure(shoplet, 'connection_string_env = "REHEARSAL_URL"')
        shoplet.add(GOOD)
        with open_target(shoplet.root, "production") as opened:
            evidence = tried(opened)
        assert evidence.ok, evidence.message
        assert (evidence.server, evidence.undo_ok) == ("REHEARSAL_URL", True)
        assert evidence.fingerprint_after, "the same roles are there: the schemas can be compared"
    finally:
        stop_server(tmp_path / "other")


def test_a_server_that_is_not_named_is_asked_for(shoplet: Shoplet, target: Target) -> None:
    configure(shoplet, 'connection_string_env = "REHEARSAL_URL_OF_NOBODY"')
    shoplet.add(FAILS_FIRST)
    with open_target(shoplet.root, "production") as opened, pytest.raises(VariableMissing):
        tried(opened)


def test_the_witness_is_not_in_the_schema(shoplet: Shoplet, target: Target) -> None:
    from faberdb.witness import Witness

    with connect(target.dsn, purpose="test") as conn:
        before = read_schema(conn, leave_out=target.tool.tracking_tables)
        with Witness(conn, tracking=target.tool.tracking_tables, schema="public"):
            assert read_schema(conn, leave_out=target.tool.tracking_tables) == before


def test_rows_that_were_mended_after_a_failed_rehearsal_are_in_the_next_one(
    shoplet: Shoplet, target: Target
) -> None:
    with connect(target.dsn, purpose="test") as conn:
        conn.execute("UPDATE account SET balance = -1 WHERE id = 1")
    shoplet.add({"0003_solvent": "ALTER TABLE account ADD CONSTRAINT solvent CHECK (balance >= 0);"})
    first = tried(target)
    assert not first.ok
    with connect(target.dsn, purpose="test") as conn:
        conn.execute("UPDATE account SET balance = 0 WHERE id = 1")
    again = tried(target)
    assert (again.ok, again.digest) == (True, first.digest), again.message
    assert again.snapshot != first.snapshot


def on_a_server_of_others(target: Target) -> Target:
    """The same, as if the server were not the project's own."""
    return replace(target, environment=replace(target.environment, hosting=Hosting.POSTGRES))


def test_what_a_copy_does_not_keep_in_is_not_rehearsed_beside_the_live_database(
    shoplet: Shoplet, target: Target
) -> None:
    role = f"reach_{target.dsn.database}"
    shoplet.add({"0003_role": f"DO $$ BEGIN CREATE ROLE {role}; END $$;"})
    with pytest.raises(Refused, match="0003_role reaches beyond its database") as caught:
        tried(on_a_server_of_others(target))
    assert "rehearsal.connection_string_env" in caught.value.next_step
    with connect(target.dsn, purpose="test") as conn:
        assert conn.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None


def test_rows_behind_a_foreign_table_are_not_changed_by_a_rehearsal(shoplet: Shoplet, target: Target) -> None:
    with connect(target.dsn, purpose="test") as conn:
        conn.execute("CREATE FOREIGN DATA WRAPPER far")
        conn.execute("CREATE SERVER far FOREIGN DATA WRAPPER far")
        conn.execute("CREATE FOREIGN TABLE far (id int) SERVER far")
    shoplet.add({"0003_far": "UPDATE far SET id = 1 WHERE id = 2;"})
    with pytest.raises(Refused, match="UPDATE writes to the foreign table far"):
        tried(target)
