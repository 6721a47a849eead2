"""The append-only, hash-chained record of what was planned, approved, done and undone."""

from faberdb.ledger.entry import ChainReport, Entry, Kind
from faberdb.ledger.store import Ledger, ensure_ledger, open_ledger

__all__ = ["ChainReport", "Entry", "Kind", "Ledger", "ensure_ledger", "open_ledger"]
