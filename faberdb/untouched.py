"""Proof by a server's own counters that nothing was written while something was only looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from faberdb.connection import connect
from faberdb.dsn import Dsn

# The next transaction id moves with the first write of each transaction, whoever's it is. WAL alone says less:
# a read may write some too, to set hint bits on pages with checksums.
_COUNTERS: Final = """
SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                            ELSE pg_current_wal_insert_lsn() END, '0/0')::bigint"""


@dataclass(slots=True, kw_only=True)
class Untouched:
    """What a server counted between a beginning and an end."""

    transactions: int = field(default=0, init=False)  # of all its databases, that wrote anything
    wal_bytes: int = field(default=0, init=False)

    @property
    def text(self) -> str:
        """For people."""
        wal = f"{self.wal_bytes:,} bytes of WAL"
        if self.transactions == 0:
            return f"Nothing was written: the server counted no transaction that wrote, and {wal}."
        return (
            f"Nothing was written by this: its sessions were read-only, which the server enforces. Others wrote"
            f" meanwhile: {self.transactions:,} transactions, {wal}."
        )


@contextmanager
def counted(dsn: Dsn) -> Iterator[Untouched]:
    """Count what the server writes while the block runs; the figures are there after it."""
    found = Untouched()
    with connect(dsn, purpose="dry run", read_only=True) as conn:

        def read() -> tuple[int, int]:
            row = conn.execute(_COUNTERS).fetchone()
            assert row is not None
            return row[0], row[1]

        before = read()
        yield found
        after = read()
    found.transactions, found.wal_bytes = after[0] - before[0], after[1] - before[1]
