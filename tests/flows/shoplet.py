"""The smallest project that a release can go wrong in."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

from msgspec import Struct

from faberdb.budget import Budget
from faberdb.catalog import read_schema
from faberdb.connection import connect
from faberdb.databases import drop_database, list_databases
from faberdb.dsn import Dsn
from faberdb.progress import silent
from faberdb.provisioning import create_environment_database
from faberdb.release.approval import Decision, Vote
from faberdb.release.opening import open_release, plan_target
from faberdb.release.permission import (
    ask_approval,
    ask_rollback,
    cast_rollback_vote,
    cast_vote,
    rollback_digest,
)
from faberdb.release.record import Release, newest_release, read_release
from faberdb.risk import CONFIRMATION_PHRASE
from faberdb.target import open_target
from faberdb.tools import open_tool

_CONFIG = """
[project]
name = "{name}"

[database]
hosting = "embedded"
migration_tool = "prisma"

[environments.staging]

[environments.production]
require_approval = true
hosting = "{hosting}"

[[checks]]
name = "nobody owes more than allowed"
environments = ["production"]
sql = "SELECT coalesce(max(balance), 0) < 1000 FROM account"

[[checks]]
name = "nothing is in trouble"
environments = ["production"]
sql = "SELECT to_regclass('trouble') IS NULL"
"""

_BASE = {
    "0001_account": "CREATE TABLE account (id int PRIMARY KEY, owner text NOT NULL, balance int NOT NULL);",
    "0002_entry": "CREATE TABLE entry (id int PRIMARY KEY, account int REFERENCES account, amount int);",
}

GOOD = {
    "0003_note": "ALTER TABLE account ADD COLUMN note text NOT NULL DEFAULT ''; CREATE INDEX ON entry (amount);",
    "0004_kind": "CREATE TYPE kind AS ENUM ('a', 'b');\nALTER TABLE entry ADD COLUMN kind kind;",
    "0005_index": "CREATE INDEX CONCURRENTLY account_owner ON account (owner);",
}
"""Three revisions, one of which cannot run in a transaction."""

FAILS_FIRST = {"0003_bad": "CREATE TABLE other (id int);\nINSERT INTO account VALUES (1, 'twice', 0);"}
"""One revision whose second statement breaks a key: nothing of it stays."""

FAILS_LATER = {
    "0003_note": "ALTER TABLE account ADD COLUMN note text;",
    "0004_bad": "UPDATE account SET note = 'x';\nALTER TABLE account ADD COLUMN note text;",
}
"""The first revision is committed when the second fails."""

FAILS_CHECK = {"0003_debts": "ALTER TABLE account ADD COLUMN limit_ int;\nUPDATE account SET balance = 5000;"}
"""It applies cleanly, and breaks what production promises."""

FAILS_ADDED = {
    "0003_trouble": "CREATE TABLE trouble (id int PRIMARY KEY, entry int REFERENCES entry);\n"
    "ALTER TABLE account ADD COLUMN note text;",
    "0004_index": "CREATE INDEX CONCURRENTLY account_note ON account (note);",
}
"""It only adds, and breaks what production promises."""

CHANGES = {
    "0003_kind": "ALTER TABLE account ADD COLUMN kind text;\nUPDATE account SET kind = 'old' WHERE id > 0;"
}
"""It lands, and does more than add: only a snapshot takes it back."""


class Shoplet(Struct, frozen=True):
    """A project on disk, and its production database."""

    root: Path
    name: str
    dsn: Dsn

    def add(self, revisions: dict[str, str]) -> None:
        for name, script in revisions.items():
            folder = self.root / "prisma" / "migrations" / name
            folder.mkdir(parents=True)
            (folder / "migration.sql").write_text(script)

    def approve(self, approver: str = "Morgan") -> Release:
        """Open the release and have it approved, as the form or the command would."""
        with open_target(self.root, "production") as target:
            plan = plan_target(target, requester="Priya")
            release = open_release(target, plan)
            ask_approval(target, release, release.run)
            vote = Vote(
                digest=release.digest,
                decision=Decision.APPROVE,
                approver=approver,
                phrase=CONFIRMATION_PHRASE,
            )
            cast_vote(target, release, vote)
            return read_release(target.ledger, release.id)

    def agree_to_rollback(self, release: Release, approver: str = "Morgan") -> None:
        """Ask, and have it agreed to, that a finished release is taken back."""
        with open_target(self.root, "production") as target:
            record = read_release(target.ledger, release.id)
            ask_rollback(target, record, requester="Priya", cause="test")
            vote = Vote(digest=rollback_digest(record), decision=Decision.APPROVE, approver=approver)
            cast_rollback_vote(target, record, vote)

    def newest(self) -> Release:
        with open_target(self.root, "production") as target:
            found = newest_release(target.ledger, "production")
            assert found is not None
            return found

    def chain_is_whole(self) -> bool:
        with open_target(self.root, "production") as target:
            return target.ledger.verify().broken_at is None

    def state(self, database: str | None = None) -> str:
        """A checksum of the schema, of every row and of what Prisma's table says is applied."""
        with connect(self.dsn.with_database(database or self.dsn.database), purpose="test") as conn:
            digest = hashlib.sha256(read_schema(conn, leave_out=("_prisma_migrations",)).fingerprint.encode())
            tables = conn.execute(
                "SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public'"
                " AND tablename <> '_prisma_migrations' ORDER BY 1"
            ).fetchall()
            for (table,) in tables:
                rows = conn.execute(f"SELECT t::text FROM {table} t ORDER BY 1".encode()).fetchall()
                digest.update(repr((table, rows)).encode())
            applied = conn.execute(
                "SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL"
                " AND rolled_back_at IS NULL ORDER BY 1"
            ).fetchall()
            digest.update(repr(applied).encode())
        return digest.hexdigest()

    def databases(self) -> list[str]:
        return sorted(n for n in list_databases(self.dsn) if n.startswith(self.dsn.database))

    def forget(self) -> None:
        for name in list_databases(self.dsn):
            if name.startswith(self.name):
                drop_database(self.dsn.with_database(name))


def make_shoplet(root: Path, *, url: str = "") -> Shoplet:
    """Create the project and its production, as it was before the release under test.

    Args:
        root: the folder to make.
        url: of production, with `{database}` where its name goes; "" for the embedded server.
    """
    name = f"s{uuid.uuid4().hex[:8]}"
    root.mkdir()
    (root / "faber-db.toml").write_text(_CONFIG.format(name=name, hosting="postgres" if url else "embedded"))
    if url:
        (root / ".env").write_text(f"PROD_DATABASE_URL={url.format(database=f'{name}_production')}\n")
    shoplet = Shoplet(root, name, Dsn(host="", database=f"{name}_production"))
    shoplet.add(_BASE)
    with open_target(root, "production") as target:
        create_environment_database(target, silent)
        with connect(target.dsn, purpose="test") as conn:
            tool = open_tool("prisma", directory=root / "prisma" / "migrations", schema_file=None)
            for revision in tool.revisions():
                tool.apply(conn, revision, _budget(), silent)
            conn.execute(
                "INSERT INTO account SELECT n, 'owner ' || n, n % 900 FROM generate_series(1, 500) n"
            )
            conn.execute("INSERT INTO entry SELECT n, n % 500 + 1, n FROM generate_series(1, 1000) n")
        return Shoplet(root, name, target.dsn)


def _budget() -> Budget:
    return Budget(lock_timeout_s=5, statement_timeout_s=60)
