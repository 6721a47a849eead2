"""What a database saw while a migration ran in it: locks and how long, rewrites, scans, rows written."""

from faberdb.witness.observer import Witness
from faberdb.witness.seen import LockSpan, Rewrite, Scan, Witnessed, longest_exclusive, rewritten

__all__ = ["LockSpan", "Rewrite", "Scan", "Witness", "Witnessed", "longest_exclusive", "rewritten"]
